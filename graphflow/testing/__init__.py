"""For tests of graphs: models that follow a script, and proofs that a run survives a crash.

doubles        models and embedders that need no network
crash_safety   whether a run goes on from wherever it was cut off as if nothing had happened
recorded       a kept run as a test
stand_ins      a walk that breaks a claim, made by nodes that stand in for those of a graph
fake_clock     time that moves when it is told to
"""

from graphflow.testing.crash_safety import CrashReport as CrashReport
from graphflow.testing.crash_safety import check_crash_safety as check_crash_safety
from graphflow.testing.doubles import ComputedModel as ComputedModel
from graphflow.testing.doubles import FakeEmbedder as FakeEmbedder
from graphflow.testing.doubles import Scripted as Scripted
from graphflow.testing.doubles import ScriptedModel as ScriptedModel
from graphflow.testing.doubles import both as both
from graphflow.testing.doubles import calls as calls
from graphflow.testing.doubles import fails as fails
from graphflow.testing.doubles import gives as gives
from graphflow.testing.doubles import hangs as hangs
from graphflow.testing.doubles import says as says
from graphflow.testing.doubles import weighs as weighs
from graphflow.testing.fake_clock import FakeClock as FakeClock
from graphflow.testing.recorded import recorded as recorded
from graphflow.testing.stand_ins import breaks as breaks
