package main

// Run refuses: the command is not wired to the service yet.
func (c *ServeCmd) Run(*env) error {
	return failure("fenhao serve 尚未接好", "fenhao serve is not wired yet")
}
