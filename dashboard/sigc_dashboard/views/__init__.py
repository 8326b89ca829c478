"""The views, in the order of the navigation."""

from __future__ import annotations

from sigc_dashboard.sheet import View
from sigc_dashboard.views.cluster import Cluster
from sigc_dashboard.views.orders import Orders
from sigc_dashboard.views.overview import Overview

VIEWS: tuple[View, ...] = (Overview(), Orders(), Cluster())
