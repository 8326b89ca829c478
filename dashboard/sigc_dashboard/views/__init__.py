"""The views, in the order of the navigation."""

from __future__ import annotations

from sigc_dashboard.view_api import View
from sigc_dashboard.views.cluster import Cluster
from sigc_dashboard.views.orders import Orders
from sigc_dashboard.views.overview import Overview
from sigc_dashboard.views.run import Run
from sigc_dashboard.views.strategy import Strategy
from sigc_dashboard.views.why import Why

VIEWS: tuple[View, ...] = (Overview(), Strategy(), Run(), Orders(), Cluster(), Why())
