"""The weights of risk: what counts, what is proposed, and what a proposal would change."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.risk_preview import preview
from governance.api.doorway import DoorView
from governance.api.reading import StrictSerializer
from governance.api.requests import _read
from governance.api.shapes import NothingIn, PersonBrief
from governance.catalog import risk_weights
from governance.catalog.models import RiskProposal, RiskWeights
from governance.catalog.weights import check
from governance.core import clock
from governance.core.errors import NotFound
from governance.identity.models import RoleName


class RiskProposalShape(serializers.ModelSerializer[RiskProposal]):
    """A proposal of other weights."""

    proposed_by = PersonBrief(read_only=True)
    decided_by = PersonBrief(allow_null=True, read_only=True)

    class Meta:
        model = RiskProposal
        fields = [
            "id",
            "based_on",
            "weights",
            "why",
            "state",
            "proposed_by",
            "proposed_at",
            "decided_by",
            "decided_at",
            "decision_reason",
        ]


class WeightsShape(serializers.Serializer[dict[str, object]]):
    """The weights in force. Version 0 is what is shipped."""

    version = serializers.IntegerField()
    weights = serializers.DictField(child=serializers.IntegerField())


class ProposalIn(StrictSerializer):
    """Other weights, all of them, and why."""

    weights = serializers.DictField()
    why = serializers.CharField(max_length=500)


class WeightsIn(StrictSerializer):
    """Other weights, all of them."""

    weights = serializers.DictField()


class ReasonIn(StrictSerializer):
    """Why not."""

    reason = serializers.CharField(max_length=500)


class RiskView(DoorView):
    """A view about weights: security changes them, audit reads them."""

    needs = frozenset({RoleName.SECURITY_ADMIN})
    reads = frozenset({RoleName.SECURITY_ADMIN, RoleName.AUDITOR})


class Weights(RiskView):
    """What counts."""

    @extend_schema(summary="The weights of risk in force", responses=WeightsShape)
    def get(self, request: Request) -> Response:
        """Return them."""
        found = risk_weights.weights_in_force()
        return Response({"version": found.version, "weights": found.as_json()})


class Preview(RiskView):
    """What would change."""

    @extend_schema(summary="How requests of the last 90 days would score", request=WeightsIn, responses=dict)
    def post(self, request: Request) -> Response:
        """Score them again under other weights; nothing is kept."""
        return Response(preview(check(_read(WeightsIn, request)["weights"]), at=clock.now()).as_json())


class Proposals(RiskView):
    """What is proposed."""

    @extend_schema(summary="Proposals that wait for a second person", responses=RiskProposalShape(many=True))
    def get(self, request: Request) -> Response:
        """Return them, the oldest first."""
        return Response(RiskProposalShape(risk_weights.waiting_proposals(), many=True).data)

    @extend_schema(summary="Propose other weights", request=ProposalIn, responses={201: RiskProposalShape})
    def post(self, request: Request) -> Response:
        """Propose; a second person decides."""
        said = _read(ProposalIn, request)
        made = risk_weights.propose(said["weights"], why=said["why"], proposer=self.person, actor=self.actor)
        return Response(RiskProposalShape(made).data, status=201)


class ApproveProposal(RiskView):
    """Yes."""

    @extend_schema(summary="Bring proposed weights into force", request=NothingIn, responses=WeightsShape)
    def post(self, request: Request, proposal_id: int) -> Response:
        """Approve, as a second person."""
        _read(NothingIn, request)
        made: RiskWeights = risk_weights.approve(_proposal(proposal_id), approver=self.person, actor=self.actor)
        return Response({"version": made.number, "weights": made.weights})


class DeclineProposal(RiskView):
    """No."""

    @extend_schema(summary="Decline proposed weights", request=ReasonIn, responses=RiskProposalShape)
    def post(self, request: Request, proposal_id: int) -> Response:
        """Decline, as a second person."""
        reason = _read(ReasonIn, request)["reason"]
        found = risk_weights.decline(_proposal(proposal_id), approver=self.person, reason=reason, actor=self.actor)
        return Response(RiskProposalShape(found).data)


class WithdrawProposal(RiskView):
    """Never mind."""

    @extend_schema(summary="Take back one's own proposal", request=NothingIn, responses=RiskProposalShape)
    def post(self, request: Request, proposal_id: int) -> Response:
        """Take it back."""
        _read(NothingIn, request)
        found = risk_weights.withdraw(_proposal(proposal_id), proposer=self.person, actor=self.actor)
        return Response(RiskProposalShape(found).data)


def _proposal(proposal_id: int) -> RiskProposal:
    found = RiskProposal.objects.filter(pk=proposal_id).first()
    if found is None:
        raise NotFound("There is no such proposal.")
    return found
