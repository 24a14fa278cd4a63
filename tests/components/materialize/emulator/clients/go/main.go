// Checks the emulator with pgx and lib/pq. Prints one line per check and fails when one of them does.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/lib/pq"
)

var (
	failed  int
	limit   = 20 * time.Second
	started = time.Date(2013, 1, 1, 5, 0, 0, 0, time.UTC)
)

func check(name string, run func(context.Context) error) {
	within, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(within); err != nil {
		failed++
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func same(want, got any) error {
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("want %#v, got %#v", want, got)
	}
	return nil
}

func hasState(err error, state string) error {
	var pgxError *pgconn.PgError
	var pqError *pq.Error
	if errors.As(err, &pgxError) && pgxError.Code == state || errors.As(err, &pqError) && string(pqError.Code) == state {
		return nil
	}
	return fmt.Errorf("want SQLSTATE %s, got %v", state, err)
}

func address(settings string) string {
	return fmt.Sprintf("postgres://materialize@%s/materialize?search_path=%s&sslmode=%s",
		os.Getenv("MATERIALIZE_ADDRESS"), os.Getenv("MATERIALIZE_SCHEMA"), settings)
}

func makeObjects() {
	check("make objects", func(within context.Context) error {
		connection, err := pgx.Connect(within, address("disable"))
		if err != nil {
			return err
		}
		defer connection.Close(within)
		for _, statement := range []string{
			`CREATE TABLE readings (sensor text, "at" timestamptz, value float8, price numeric, ok bool, body jsonb)`,
			`CREATE MATERIALIZED VIEW by_hour AS SELECT date_trunc('hour', "at") AS hour, sensor, count(*) AS n,
				max(value) AS most FROM readings GROUP BY 1, 2`,
		} {
			if _, err := connection.Exec(within, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkPgx(label, sslmode string, mode pgx.QueryExecMode) {
	config, err := pgx.ParseConfig(address(sslmode))
	if err != nil {
		panic(err)
	}
	config.DefaultQueryExecMode = mode
	connection, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		failed++
		fmt.Printf("FAIL %s connect: %v\n", label, err)
		return
	}
	defer connection.Close(context.Background())
	sensor := strings.ReplaceAll(label, " ", "_")
	check(label+" says emulator", func(within context.Context) error {
		var version string
		err := connection.QueryRow(within, "SELECT version()").Scan(&version)
		return errors.Join(err, same(true, strings.Contains(version, "emulator")))
	})
	check(label+" insert and read types", func(within context.Context) error {
		body := map[string]any{"a": []any{1.0, "ü"}}
		document := `{"a": [1, "ü"]}`
		_, err := connection.Exec(within, "INSERT INTO readings VALUES ($1, $2, $3, $4, $5, $6)",
			sensor, started, 1.5, pgtype.Numeric{Int: big.NewInt(1225), Exp: -2, Valid: true}, true, document)
		if err != nil {
			return err
		}
		var at time.Time
		var value float64
		var price string
		var ok bool
		var found map[string]any
		err = connection.QueryRow(within,
			`SELECT "at", value, price::text, ok, body FROM readings WHERE sensor = $1`, sensor).
			Scan(&at, &value, &price, &ok, &found)
		return errors.Join(err, same(true, at.Equal(started)), same(1.5, value), same("12.25", price), same(true, ok), same(body, found))
	})
	check(label+" a view is read after each write", func(within context.Context) error {
		for number := 2; number <= 9; number++ {
			at := started.Add(time.Duration(number) * time.Minute)
			if _, err := connection.Exec(within, `INSERT INTO readings (sensor, "at", value) VALUES ($1, $2, $3)`,
				sensor, at, float64(number)); err != nil {
				return err
			}
			var n int64
			var most float64
			err := connection.QueryRow(within, "SELECT n, most FROM by_hour WHERE sensor = $1", sensor).Scan(&n, &most)
			if err := errors.Join(err, same(int64(number), n), same(float64(number), most)); err != nil {
				return err
			}
		}
		return nil
	})
	check(label+" nulls", func(within context.Context) error {
		var price *string
		err := connection.QueryRow(within, "SELECT max(price)::text FROM readings WHERE sensor = $1 AND value > 1.5", sensor).Scan(&price)
		return errors.Join(err, same((*string)(nil), price))
	})
	check(label+" batch", func(within context.Context) error {
		batch := &pgx.Batch{}
		for number := 1; number <= 3; number++ {
			batch.Queue("SELECT $1::bigint * 2", int64(number))
		}
		results := connection.SendBatch(within, batch)
		defer results.Close()
		for number := int64(1); number <= 3; number++ {
			var twice int64
			if err := errors.Join(results.QueryRow().Scan(&twice), same(number*2, twice)); err != nil {
				return err
			}
		}
		return results.Close()
	})
	check(label+" COPY in binary", func(within context.Context) error {
		rows := [][]any{}
		for number := 0; number < 1000; number++ {
			rows = append(rows, []any{sensor + "_copied", started, float64(number)})
		}
		_, err := connection.CopyFrom(within, pgx.Identifier{"readings"}, []string{"sensor", "at", "value"}, pgx.CopyFromRows(rows))
		if err != nil {
			return err
		}
		var n int64
		err = connection.QueryRow(within, "SELECT n FROM by_hour WHERE sensor = $1", sensor+"_copied").Scan(&n)
		return errors.Join(err, same(int64(1000), n))
	})
	check(label+" errors", func(within context.Context) error {
		_, unknown := connection.Exec(within, "SELECT * FROM nothing")
		_, invalid := connection.Exec(within, "SELECT $1::text::int", "x")
		_, unsupported := connection.Exec(within, "CREATE DATABASE other")
		return errors.Join(hasState(unknown, "42P01"), hasState(invalid, "22P02"), hasState(unsupported, "0A000"))
	})
	check(label+" transactions", func(within context.Context) error {
		count := func() (n int64, err error) {
			err = connection.QueryRow(within, "SELECT count(*) FROM readings WHERE sensor = $1", sensor).Scan(&n)
			return
		}
		before, err := count()
		if err != nil {
			return err
		}
		for _, commits := range []bool{false, true} {
			transaction, err := connection.Begin(within)
			if err != nil {
				return err
			}
			for range 2 {
				if _, err := transaction.Exec(within, "INSERT INTO readings (sensor) VALUES ($1)", sensor); err != nil {
					return err
				}
			}
			if commits {
				err = transaction.Commit(within)
			} else {
				err = transaction.Rollback(within)
			}
			if err != nil {
				return err
			}
		}
		after, err := count()
		return errors.Join(err, same(before+2, after))
	})
	check(label+" SUBSCRIBE by cursor", func(within context.Context) error {
		transaction, err := connection.Begin(within)
		if err != nil {
			return err
		}
		defer transaction.Rollback(within)
		_, err = transaction.Exec(within, "DECLARE c CURSOR FOR SUBSCRIBE by_hour ENVELOPE UPSERT (KEY (hour, sensor)) WITH (PROGRESS)")
		if err != nil {
			return err
		}
		seen := 0
		for seen < 2 {
			rows, err := transaction.Query(within, "FETCH ALL c")
			if err != nil {
				return err
			}
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					return err
				}
				if values[1] == false && values[4] != nil && values[2] == "upsert" {
					seen++
				}
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	check(label+" cancel", func(context.Context) error {
		short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		other, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			return err
		}
		defer other.Close(context.Background())
		_, err = other.Exec(short, "SELECT pg_sleep(30)")
		return same(true, errors.Is(err, context.DeadlineExceeded))
	})
}

func checkCopyOut() {
	check("pgx COPY of a subscription", func(within context.Context) error {
		connection, err := pgx.Connect(within, address("disable"))
		if err != nil {
			return err
		}
		defer connection.Close(within)
		var until string
		if err := connection.QueryRow(within, "SELECT (mz_now()::bigint + 500)::text").Scan(&until); err != nil {
			return err
		}
		var out bytes.Buffer
		_, err = connection.PgConn().CopyTo(within, &out, "COPY (SUBSCRIBE by_hour WITH (PROGRESS) UP TO "+until+") TO STDOUT")
		return errors.Join(err, same(true, strings.Contains(out.String(), "_copied")))
	})
}

// What Grafana's data source sends once it has put the dashboard's time range into the query.
const dashboard = `SELECT hour AS "time", sensor AS metric, most AS value FROM by_hour
	WHERE "hour" BETWEEN '2013-01-01T00:00:00Z' AND '2013-01-01T06:00:00Z' AND sensor = 'pgx_cached' ORDER BY 1`

func checkPq() {
	database, err := sql.Open("postgres", address("disable"))
	if err != nil {
		panic(err)
	}
	defer database.Close()
	check("lib/pq a dashboard's query", func(within context.Context) error {
		rows, err := database.QueryContext(within, dashboard)
		if err != nil {
			return err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err := errors.Join(err, same("TIMESTAMPTZ", types[0].DatabaseTypeName()), same("FLOAT8", types[2].DatabaseTypeName())); err != nil {
			return err
		}
		count := 0
		for rows.Next() {
			var at time.Time
			var metric string
			var value float64
			if err := errors.Join(rows.Scan(&at, &metric, &value), same(true, at.Equal(started)), same(9.0, value)); err != nil {
				return err
			}
			count++
		}
		return errors.Join(rows.Err(), same(1, count))
	})
	check("lib/pq prepared", func(within context.Context) error {
		statement, err := database.PrepareContext(within, "SELECT n FROM by_hour WHERE sensor = $1 AND hour > $2")
		if err != nil {
			return err
		}
		defer statement.Close()
		for range 3 {
			var n int64
			err := statement.QueryRowContext(within, "pgx_cached_copied", started.Add(-time.Minute)).Scan(&n)
			if err := errors.Join(err, same(int64(1000), n)); err != nil {
				return err
			}
		}
		return nil
	})
	check("lib/pq transactions", func(within context.Context) error {
		transaction, err := database.BeginTx(within, nil)
		if err != nil {
			return err
		}
		if _, err := transaction.ExecContext(within, "INSERT INTO readings (sensor, value) VALUES ($1, $2)", "pq", 7.0); err != nil {
			return err
		}
		if err := transaction.Commit(); err != nil {
			return err
		}
		var most float64
		err = database.QueryRowContext(within, "SELECT most FROM by_hour WHERE sensor = 'pq'").Scan(&most)
		return errors.Join(err, same(7.0, most))
	})
	check("lib/pq errors", func(within context.Context) error {
		_, err := database.ExecContext(within, "SELECT * FROM nothing WHERE a = $1", 1)
		return hasState(err, "42P01")
	})
	check("lib/pq the catalog", func(within context.Context) error {
		var kind string
		err := database.QueryRowContext(within,
			"SELECT o.type FROM mz_objects o JOIN mz_schemas s ON s.id = o.schema_id WHERE o.name = $1 AND s.name = $2",
			"by_hour", os.Getenv("MATERIALIZE_SCHEMA")).Scan(&kind)
		return errors.Join(err, same("materialized-view", kind))
	})
}

func main() {
	makeObjects()
	checkPgx("pgx cached", "prefer", pgx.QueryExecModeCacheStatement)
	checkPgx("pgx described", "disable", pgx.QueryExecModeDescribeExec)
	checkPgx("pgx simple", "disable", pgx.QueryExecModeSimpleProtocol)
	checkCopyOut()
	checkPq()
	if failed > 0 {
		os.Exit(1)
	}
}
