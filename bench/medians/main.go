// Command medians reads what `go test -bench` printed in several rounds, and prints for each benchmark the median of each
// implementation and its ratio to ours: below 1 we are faster. The ratio is the median of the rounds' ratios: what ran
// side by side is compared, so a round in which the machine was busy with something else spoils little.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// ours is the implementation that the others are compared with.
const ours = "fenhao"

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "medians:", err)
		os.Exit(1)
	}
}

// series is what one implementation took, round by round.
type series struct {
	name   string
	took   []float64 // ns/op, of the processor where that was measured
	allocs []float64
}

var (
	line   = regexp.MustCompile(`^Benchmark([^/\s]+)/(\S+?)(?:-\d+)?\s+\d+\s+(.* allocs/op.*)$`)
	metric = regexp.MustCompile(`([\d.]+) (\S+)`)
)

func run(in io.Reader, out io.Writer) error {
	var order []string
	found := map[string][]*series{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		values := map[string]float64{}
		for _, v := range metric.FindAllStringSubmatch(m[3], -1) {
			var err error
			if values[v[2]], err = strconv.ParseFloat(v[1], 64); err != nil {
				return err
			}
		}
		took, ok := values["cpu-ns/op"]
		if !ok {
			took = values["ns/op"]
		}
		if found[m[1]] == nil {
			order = append(order, m[1])
		}
		i := slices.IndexFunc(found[m[1]], func(s *series) bool { return s.name == m[2] })
		if i < 0 {
			i = len(found[m[1]])
			found[m[1]] = append(found[m[1]], &series{name: m[2]})
		}
		s := found[m[1]][i]
		s.took, s.allocs = append(s.took, took), append(s.allocs, values["allocs/op"])
	}
	if len(order) == 0 {
		return fmt.Errorf("no benchmark in what was read")
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "benchmark\timplementation\tmedian µs\tours / theirs\tallocs\trounds")
	for _, name := range order {
		i := slices.IndexFunc(found[name], func(s *series) bool { return s.name == ours })
		if i < 0 {
			return fmt.Errorf("%s has no %s", name, ours)
		}
		us := found[name][i]
		for _, s := range found[name] {
			if len(s.took) != len(us.took) {
				return fmt.Errorf("%s: %s ran %d times, %s %d", name, ours, len(us.took), s.name, len(s.took))
			}
			ratio := ""
			if s != us {
				var ratios []float64
				for i := range s.took {
					ratios = append(ratios, us.took[i]/s.took[i])
				}
				ratio = fmt.Sprintf("%.2f", median(ratios))
			}
			fmt.Fprintf(table, "%s\t%s\t%.1f\t%s\t%.0f\t%d\n", name, strings.ReplaceAll(s.name, "_", " "), median(s.took)/1000, ratio,
				median(s.allocs), len(s.took))
		}
	}
	return table.Flush()
}

// median of at least one value; it leaves v as it is.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
