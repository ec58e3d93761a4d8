"""The call: its one state machine, the plan and its runner, the record. PBX features decide, this executes.

    values         ending endings party plan models state leg call          what a call is
    contract       ports tools commands                                     what others implement for it
    running        registry runner live_call inbox media_events             one task per call, one bounded inbox
    steps          ringing bridging services call_recording tones quality   what the task does
    record         records spill record_store rows repository leases retention
    looking        history history_repository show ladder sip_summary ladder_bound

Start at `registry.CallRegistry.start`, go on to `runner.CallRunner.run`.
"""
