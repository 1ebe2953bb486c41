package main

// Run refuses: the command is not wired to the service yet.
func (c *DevCmd) Run(*env) error {
	return failure("fenhao dev 尚未接好", "fenhao dev is not wired yet")
}
