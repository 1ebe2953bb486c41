package pay

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/money"
)

// MaxTotal is the largest amount of one order: WeChat takes at most ten digits.
const MaxTotal money.Fen = 9_999_999_999

const (
	maxLines    = 50  // lines in one order
	maxQuantity = 999 // of one product in one order
)

// Product is something that the shop sells. Its price is the only source of an amount that a mini program can cause.
type Product struct {
	ID          ProductID
	Name        string
	Description string
	Price       money.Fen // in fen, CNY
	ImageURL    string    // empty: none
	Active      bool      // false: shown nowhere, can't be ordered
	CreatedAt   time.Time
}

// Check says what is wrong with p, or nil.
func (p Product) Check() error {
	switch {
	case strings.TrimSpace(p.Name) == "":
		return invalid("name", "请填写商品名称", "give the product a name")
	case utf8.RuneCountInString(p.Name) > 100:
		return invalid("name", "商品名称最长 100 个字符", "a product's name has at most 100 characters")
	case !plainText(p.Name):
		return invalid("name", "商品名称含有微信支付不接受的字符（表情等四字节字符或控制字符），请删去",
			"the name holds a character that WeChat Pay refuses (an emoji or another 4-byte character, or a control character): remove it")
	case utf8.RuneCountInString(p.Description) > 1000:
		return invalid("description", "商品描述最长 1000 个字符", "a product's description has at most 1,000 characters")
	case p.Price < 1 || p.Price > MaxTotal:
		return invalid("price.total", "价格是以分为单位的整数，从 1 到 9999999999", "a price is an integer number of fen from 1 to 9999999999")
	}
	return nil
}

// Line is one line of a purchase: what, and how many.
type Line struct {
	ProductID ProductID
	Quantity  int64
}

// Item is a line of an order with the name and price of that moment: a later change of the product does not touch it.
type Item struct {
	ProductID ProductID `json:"product_id"`
	Name      string    `json:"name"`
	Price     money.Fen `json:"price"` // of one, in fen
	Quantity  int64     `json:"quantity"`
}

// price turns lines into items and their total, by the catalogue alone. products holds those of the lines.
func price(lines []Line, products map[ProductID]Product) ([]Item, money.Fen, error) {
	if len(lines) == 0 || len(lines) > maxLines {
		return nil, 0, invalid("items", "一个订单要有 1 到 50 行商品", "an order has 1 to 50 lines")
	}
	items, total := make([]Item, 0, len(lines)), money.Fen(0)
	for _, l := range lines {
		p, ok := products[l.ProductID]
		switch {
		case !ok:
			return nil, 0, refuse(CodeProductNotFound, nil, "product_id", string(l.ProductID))
		case !p.Active:
			return nil, 0, refuse(CodeProductInactive, nil, "product_id", string(l.ProductID))
		case l.Quantity < 1 || l.Quantity > maxQuantity:
			return nil, 0, invalid("items", "每行商品的数量是 1 到 999", "the quantity of a line is 1 to 999")
		}
		sum, err := p.Price.Times(l.Quantity)
		if err == nil {
			total, err = total.Plus(sum)
		}
		if err != nil || total > MaxTotal {
			return nil, 0, refuse(CodeAmountTooLarge, err)
		}
		items = append(items, Item{ProductID: p.ID, Name: p.Name, Price: p.Price, Quantity: l.Quantity})
	}
	return items, total, nil
}

// describe gives the text that the buyer sees on the bill of WeChat: at most 127 bytes, cut between characters.
func describe(items []Item) string {
	text := items[0].Name
	if len(items) > 1 {
		text += " 等"
	}
	return truncate(text, 127)
}

// truncate cuts s to at most n bytes and never through a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// plainText tells whether WeChat Pay takes s: valid UTF-8, characters of at most three bytes, no control characters.
func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r > 0xFFFF || unicode.IsControl(r) {
			return false
		}
	}
	return true
}
