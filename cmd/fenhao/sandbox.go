package main

// Run refuses: the command is not wired to the service yet.
func (c *SandboxCmd) Run(*env) error {
	return failure("fenhao sandbox 尚未接好", "fenhao sandbox is not wired yet")
}
