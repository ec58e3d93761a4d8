"""Recordings: from the spool that the media engine writes, to the file store, to somebody's ears, to their end.

recorder.py    begin and finish, never waiting for the database; recovery after a crash
spool.py       the local folder: a ticket beside each file, sealed so that nothing is lost with the process
storing.py     the job that moves a finished file to the file store
sweeping.py    the job that asks for that again when it was in vain
keeping.py     for how many days, by organization
retention.py   the job that destroys what is over its time
exports.py     find, and render to a file, with an audit entry
"""

from sent.recordings.errors import RecordingRefused
from sent.recordings.keeping import Keeping
from sent.recordings.models import Recording, RecordingState, RecordingTicket
from sent.recordings.recorder import Recorder

__all__ = ["Keeping", "Recorder", "Recording", "RecordingRefused", "RecordingState", "RecordingTicket"]
