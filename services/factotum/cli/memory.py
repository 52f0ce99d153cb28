"""`factotum memory`: what is remembered, and who governs it."""

from __future__ import annotations

import typer

from factotum.cli import memory_bench, memory_documents, memory_governance, memory_records, memory_remember

app = typer.Typer(help="What is remembered.", no_args_is_help=True, rich_markup_mode=None)
app.command()(memory_records.search)
app.command("list")(memory_records.list_records)
app.command()(memory_remember.remember)
app.command()(memory_governance.status)
app.command()(memory_governance.export)
app.command()(memory_governance.forget)
app.command()(memory_governance.receipts)
app.command()(memory_governance.consolidate)
app.command()(memory_governance.reindex)
app.command()(memory_documents.add)
app.add_typer(memory_documents.documents, name="documents")
app.command()(memory_bench.bench)
