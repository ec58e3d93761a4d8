"""The call: its one state machine, the plan and its runner, the record. PBX features decide, this executes."""
