"""aiokafka's fetcher, which looks at no partition while there is nothing to ask for.

Whenever something arrives or is taken out it goes through all assigned partitions, some forty of a worker, to find whom
to ask for what.  Just before what has arrived is handled that is in vain: as long as it waits, its broker isn't asked
for more.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher


class Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    def _get_actions_per_node(self, assignment: Any) -> Any:
        busy = set(self._in_flight)
        waits: dict[int, float] = {}
        for tp, result in self._records.items():
            if wait := result.calculate_backoff():
                node = self._select_read_replica(tp)
                waits[node] = max(wait, waits.get(node, 0.0))
        busy.update(waits)
        if all(broker.nodeId in busy for broker in self._client.cluster.brokers()):
            return [], {}, min(waits.values(), default=self._fetcher_timeout), False, []
        return super()._get_actions_per_node(assignment)
