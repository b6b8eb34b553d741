"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.catalog.models import (
    AccessPolicyVersion,
    Application,
    BirthrightRuleVersion,
    Entitlement,
    PackageVersion,
    RiskWeights,
    SodRuleVersion,
)
from governance.ledger.configuration import register_configuration

register_configuration(Application)
register_configuration(Entitlement)
register_configuration(AccessPolicyVersion)
register_configuration(BirthrightRuleVersion, related_fields=["entitlements"])
register_configuration(PackageVersion, related_fields=["entitlements"])
register_configuration(RiskWeights)
register_configuration(SodRuleVersion, hidden_fields=["owner"])
