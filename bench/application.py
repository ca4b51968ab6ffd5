"""The application every case of the bench is: high voltage, one source, plainly fictitious."""

from __future__ import annotations

from typing import Any

APPLICATION: dict[str, Any] = {
    "channel": "window",
    "voltage": "high",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 630,
    "applicant": {
        "kind": "enterprise",
        "name": "湛江市麻章区示例食品有限公司",
        "id_type": "uscc",
        "id_number": "91440811MA9X00177E",
        "phone": "13800000017",
        "size": "medium",
    },
    "site": {"address": "湛江市麻章区示例路17号", "district": "440811"},
    "consent_to_certificates": True,
    "documents": [],
}
