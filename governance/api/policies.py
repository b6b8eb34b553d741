"""Policies: what is in force and was, a draft looked at, and proposing and deciding changes as two people."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import policy_changes, replay_runs
from governance.access.models import ReplayRun
from governance.access.preview import preview
from governance.api.doorway import DoorView
from governance.api.policy_shapes import (
    OnePolicyShape,
    PolicyAnswerIn,
    PolicyDraftIn,
    PolicyPreviewShape,
    PolicyProposalIn,
    PolicyProposalShape,
    PolicyReplayRunShape,
    PolicyShape,
    draft_terms,
)
from governance.api.reading import PAGE_WORDS, ListView, choice, page_of
from governance.api.shapes import NothingIn
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, PolicyProposal, ProposalState
from governance.catalog.policy_proposals import last_version, proposal
from governance.catalog.policy_terms import PolicyTerms, check_terms, terms_from_json, terms_of
from governance.core.errors import NotAllowed, NotFound
from governance.identity.models import RoleName


class PolicyView(DoorView):
    """A view for security administrators, auditors and owners of applications."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let in who may read policies."""
        super().initial(request, *args, **kwargs)
        if not (self.sees_everything or self.owned):
            raise NotAllowed("This is for: owners of applications, security administrators, auditors.")


class Policies(PolicyView, ListView):
    """Policies."""

    shape = PolicyShape

    @extend_schema(
        operation_id="policies_list",
        summary="Policies, each with the version in force",
        parameters=[*PAGE_WORDS],
        responses=page_of(PolicyShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of policies."""
        return self.page(AccessPolicy.objects.prefetch_related("versions"))


class OnePolicy(PolicyView):
    """One policy."""

    @extend_schema(summary="One policy with all its versions, the latest first", responses=OnePolicyShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the policy."""
        found = AccessPolicy.objects.prefetch_related("versions", "entitlements__application").filter(slug=slug).first()
        if found is None:
            raise NotFound(f"There is no policy called {slug}.")
        return Response(OnePolicyShape(found).data)


class Preview(PolicyView):
    """The effect of a draft."""

    @extend_schema(
        operation_id="policy_preview",
        summary="Whom a draft of a policy would affect. Changes nothing",
        request=PolicyDraftIn,
        responses=PolicyPreviewShape,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return whom the draft would affect."""
        base = _last(slug)
        return Response(PolicyPreviewShape(preview(_draft(request, base), terms_of(base), slug)).data)


class DraftReplay(PolicyView):
    """The last 90 days under a draft."""

    @extend_schema(
        operation_id="policy_draft_replay",
        summary="Decide the requests of the last 90 days again under a draft. Changes nothing",
        request=PolicyDraftIn,
        responses={200: PolicyReplayRunShape, 202: PolicyReplayRunShape},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return how they would have gone, or 202 with where that will be said when they are many."""
        return _ran(replay_runs.ask(_draft(request, _last(slug)), slug, person=self.person))


class OneReplay(PolicyView):
    """One replay."""

    @extend_schema(
        operation_id="policy_replay_run",
        summary="How far a replay is, and what it came to",
        responses=PolicyReplayRunShape,
    )
    def get(self, request: Request, run_id: int) -> Response:
        """Return it."""
        return Response(PolicyReplayRunShape(replay_runs.one(run_id)).data)


class Proposals(PolicyView, ListView):
    """Proposals."""

    shape = PolicyProposalShape
    ordering = "-id"
    filters = frozenset({"state", "policy"})

    @extend_schema(
        operation_id="policy_proposals_list",
        summary="Proposed changes of policies, the latest first",
        parameters=[
            OpenApiParameter("state", str, enum=ProposalState.values),
            OpenApiParameter("policy", str, description="Slug of a policy"),
            *PAGE_WORDS,
        ],
        responses=page_of(PolicyProposalShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of proposals."""
        return self.page(_narrowed(request))

    @extend_schema(
        summary="Propose a change of a policy, or a new one; a second person decides",
        request=PolicyProposalIn,
        responses={201: PolicyProposalShape},
    )
    def post(self, request: Request) -> Response:
        """Propose a draft: what is left out of its terms stays as it is in force, or as usual for a new policy."""
        said = PolicyProposalIn(data=request.data)
        said.is_valid(raise_exception=True)
        wanted = said.validated_data
        base = _last(wanted["policy"]) if wanted["policy"] else None
        written = policy_changes.propose(
            wanted["name"] or (base.policy.name if base else ""),
            draft_terms(wanted["terms"], terms_of(base) if base else None),
            slug=wanted["policy"],
            base_number=wanted["base_version"],
            why=wanted["why"],
            proposed_by=self.person,
            alone=wanted["alone"],
            actor=self.actor,
        )
        return Response(PolicyProposalShape(proposal(written.pk)).data, status=201)


class OneProposal(PolicyView):
    """One proposal."""

    @extend_schema(summary="One proposed change, with what differs from its base", responses=PolicyProposalShape)
    def get(self, request: Request, proposal_id: int) -> Response:
        """Return the proposal."""
        return Response(PolicyProposalShape(proposal(proposal_id)).data)


class ProposalEffect(PolicyView):
    """The effect of a proposal."""

    @extend_schema(summary="Whom a proposed change affects, as of now", responses=PolicyPreviewShape)
    def get(self, request: Request, proposal_id: int) -> Response:
        """Return whom it affects."""
        found = proposal(proposal_id)
        base = terms_of(found.base) if found.base else None
        return Response(PolicyPreviewShape(preview(_terms(found), base, found.slug)).data)


class ProposalReplay(PolicyView):
    """The last 90 days under a proposal."""

    @extend_schema(summary="The newest replay of the last 90 days under it", responses=PolicyReplayRunShape)
    def get(self, request: Request, proposal_id: int) -> Response:
        """Return it, with how far it is."""
        run = replay_runs.latest_of(proposal(proposal_id))
        if run is None:
            raise NotFound("Nobody had the last 90 days decided again under it yet.")
        return Response(PolicyReplayRunShape(run).data)

    @extend_schema(
        summary="Decide the requests of the last 90 days again under it, as of now",
        request=NothingIn,
        responses={200: PolicyReplayRunShape, 202: PolicyReplayRunShape},
    )
    def post(self, request: Request, proposal_id: int) -> Response:
        """Return how they would have gone, or 202 with where that will be said when they are many."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        found = proposal(proposal_id)
        return _ran(replay_runs.ask(_terms(found), found.slug, person=self.person, anew=True))


class Approve(PolicyView):
    """A second person's yes."""

    needs = frozenset({RoleName.SECURITY_ADMIN})

    @extend_schema(summary="Put a proposed change in force", request=PolicyAnswerIn, responses=PolicyProposalShape)
    def post(self, request: Request, proposal_id: int) -> Response:
        """Put it in force."""
        answer = _answer(request)
        done = policy_changes.approve(proposal(proposal_id), decided_by=self.person, answer=answer, actor=self.actor)
        return Response(PolicyProposalShape(proposal(done.pk)).data)


class Decline(PolicyView):
    """A second person's no."""

    needs = frozenset({RoleName.SECURITY_ADMIN})

    @extend_schema(
        summary="Decline a proposed change, with the reason", request=PolicyAnswerIn, responses=PolicyProposalShape
    )
    def post(self, request: Request, proposal_id: int) -> Response:
        """Decline it."""
        answer = _answer(request)
        done = policy_changes.decline(proposal(proposal_id), decided_by=self.person, answer=answer, actor=self.actor)
        return Response(PolicyProposalShape(proposal(done.pk)).data)


class Withdraw(PolicyView):
    """Taking one's own proposal back."""

    @extend_schema(summary="Take back one's own proposed change", request=PolicyAnswerIn, responses=PolicyProposalShape)
    def post(self, request: Request, proposal_id: int) -> Response:
        """Take it back."""
        _answer(request)
        done = policy_changes.withdraw(proposal(proposal_id), person=self.person, actor=self.actor)
        return Response(PolicyProposalShape(proposal(done.pk)).data)


def _answer(request: Request) -> str:
    said = PolicyAnswerIn(data=request.data)
    said.is_valid(raise_exception=True)
    answer: str = said.validated_data["answer"]
    return answer


def _ran(run: ReplayRun) -> Response:
    headers = {"Location": reverse("api:policy_replay_run", args=[run.pk])}
    return Response(PolicyReplayRunShape(run).data, status=202 if run.is_open else 200, headers=headers)


def _last(slug: str) -> AccessPolicyVersion:
    found = last_version(slug)
    if found is None:
        raise NotFound(f"There is no policy called {slug}.")
    return found


def _terms(found: PolicyProposal) -> PolicyTerms:
    return terms_from_json(found.terms)


def _narrowed(request: Request) -> QuerySet[PolicyProposal]:
    rows = PolicyProposal.objects.select_related("proposed_by", "decided_by", "base__policy", "version")
    state, slug = choice(request, "state", list(ProposalState.values)), request.query_params.get("policy")
    if state is not None:
        rows = rows.filter(state=state)
    return rows.filter(slug=slug) if slug is not None else rows


def _draft(request: Request, base: AccessPolicyVersion) -> PolicyTerms:
    """Return the terms of a draft: what it leaves out stays as in the version. Raises Invalid naming the field."""
    said = PolicyDraftIn(data=request.data)
    said.is_valid(raise_exception=True)
    draft = draft_terms(said.validated_data["terms"], terms_of(base))
    check_terms(base.policy.name, draft)
    return draft
