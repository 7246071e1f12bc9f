"""The study's instrument: plan, launch, drive, record, analyse, report; and the conformance suite."""
