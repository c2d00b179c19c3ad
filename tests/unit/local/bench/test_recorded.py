"""The server's log becomes a pgbench script in which every booking is another one."""

import pytest

from regiohub_local.bench.recorded import NotRecorded, Spoken, for_pgbench, transaction

LOG = """@@11 LOG:  duration: 0.010 ms  statement: BEGIN;
@@22 LOG:  duration: 0.010 ms  statement: BEGIN;
@@11 LOG:  duration: 0.100 ms  parse __asyncpg_stmt_1__: SELECT $1,
\t  $2
@@11 LOG:  duration: 0.100 ms  bind __asyncpg_stmt_1__: SELECT $1,
\t  $2
@@11 DETAIL:  Parameters: $1 = 'the-key', $2 = NULL
@@11 LOG:  duration: 0.100 ms  execute __asyncpg_stmt_1__: SELECT $1,
\t  $2
@@11 DETAIL:  Parameters: $1 = 'the-key', $2 = NULL
@@22 LOG:  duration: 0.100 ms  execute __asyncpg_stmt_9__: SELECT $1
@@22 DETAIL:  Parameters: $1 = 'another''s: $2 = ''x'''
@@11 LOG:  duration: 0.010 ms  statement: SAVEPOINT a;
@@11 LOG:  duration: 0.010 ms  statement: COMMIT;
@@22 LOG:  duration: 0.010 ms  statement: COMMIT;
@@11 LOG:  duration: 0.010 ms  statement: RESET ALL;
"""


def test_only_the_transaction_with_the_key_is_taken_each_statement_once():
    assert transaction(LOG, "the-key") == [
        Spoken("BEGIN;"),
        Spoken("SELECT $1,\n  $2", ("the-key", None)),
        Spoken("SAVEPOINT a;"),
        Spoken("COMMIT;"),
    ]


def test_quotes_in_a_value_end_it_only_at_its_end():
    assert transaction(LOG, "another's: $2 = 'x'")[1].values == ("another's: $2 = 'x'",)


@pytest.mark.parametrize("log", ["", LOG.replace("COMMIT", "ROLLBACK")])
def test_a_transaction_that_is_not_there_or_did_not_commit_is_an_error(log):
    with pytest.raises(NotRecorded):
        transaction(log, "the-key")


def test_values_are_written_in_with_their_types_and_what_varies_is_an_expression():
    spoken = Spoken("SELECT $1, $2::text[], $10", ("it's", '{"a id-7 b"}', *[None] * 7, "id-7"))
    types = ["text", "text[]", *["int4"] * 7, "uuid"]
    assert for_pgbench(spoken, types, {"id-7": "(:u)"}) == (
        "SELECT ('it''s')::text, ('{\"a ' || (:u) || ' b\"}')::text[]::text[], ((:u))::uuid"
    )


def test_the_longer_of_two_varying_values_wins_where_one_holds_the_other():
    spoken = Spoken("SELECT $1", ("key-1 and key-12",))
    assert for_pgbench(spoken, ["text"], {"key-1": "A", "key-12": "B"}) == "SELECT (A || ' and ' || B)::text"


def test_null_and_empty_text_stay_what_they_are():
    assert for_pgbench(Spoken("SELECT $1, $2", (None, "")), ["int4", "text"], {"x": "y"}) == (
        "SELECT (NULL)::int4, ('')::text"
    )
