"""The scenarios, one file each. The order is that of the report."""

from harness.model import Scenario
from scenarios import s1_pass_through, s2_authorizer, s3_bucket, s4_mapping, s5_jwt, s6_redis, s7_chain

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        s1_pass_through.SCENARIO,
        s2_authorizer.SCENARIO,
        s3_bucket.SCENARIO,
        s4_mapping.SCENARIO,
        s5_jwt.SCENARIO,
        s6_redis.SCENARIO,
        s7_chain.WITHOUT_LIMIT,
        s7_chain.SCENARIO,
    )
}
