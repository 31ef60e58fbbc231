"""What the models that stand in for a language model have in common."""

from collections.abc import Sequence

from workbench.evals.asking import Answer, Request
from workbench.text.pending import Later


class StandIn:
    """A model of scripted answers."""

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """The scripted answers."""
        raise NotImplementedError

    def submit(self, requests: Sequence[Request]) -> Later:
        """The same, when they are waited for."""
        return Later(lambda: self.answers(requests))
