"""All that a component, ours or a plugin, may import.

A component is one folder that holds everything the product knows about one system. It returns data (processes,
resources, check results); what turns that data into files, plans and tables is shared by all of them.
"""
