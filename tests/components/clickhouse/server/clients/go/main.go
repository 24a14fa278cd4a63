// Checks the server with clickhouse-go over HTTP, the way Grafana's plugin uses it: Native blocks at the
// driver's own protocol revision. Prints one line per check and fails when one of them does.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

var failed int

func check(name string, run func() error) {
	if err := run(); err != nil {
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

func options(method clickhouse.CompressionMethod) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{os.Getenv("CLICKHOUSE_ADDRESS")},
		Auth: clickhouse.Auth{
			Database: os.Getenv("CLICKHOUSE_DATABASE"),
			Username: os.Getenv("CLICKHOUSE_USER"),
			Password: os.Getenv("CLICKHOUSE_PASSWORD"),
		},
		Compression: &clickhouse.Compression{Method: method},
		DialTimeout: 10 * time.Second,
		ReadTimeout: 30 * time.Second,
	}
}

func open(method clickhouse.CompressionMethod) driver.Conn {
	connection, err := clickhouse.Open(options(method))
	if err != nil {
		fmt.Println("FAIL open:", err)
		os.Exit(1)
	}
	return connection
}

const columns = `
	a UInt64, b Int32, c Float64, d String, e FixedString(4), f Date, g DateTime('Europe/Paris'), h DateTime64(6, 'UTC'),
	i UUID, j IPv4, k IPv6, l Decimal(18, 4), m Enum8('x' = 1, 'y' = 2), n Nullable(String), o Array(UInt32),
	p Map(String, Int64), q Tuple(Int64, String), r LowCardinality(String), s Array(LowCardinality(Nullable(String))),
	t Bool, u Array(Array(String)), v SimpleAggregateFunction(sum, UInt64), w Nullable(Float32)`

type values struct {
	a uint64
	b int32
	c float64
	d string
	e string
	f time.Time
	g time.Time
	h time.Time
	i uuid.UUID
	j net.IP
	k net.IP
	l decimal.Decimal
	m string
	n *string
	o []uint32
	p map[string]int64
	q []any
	r string
	s []*string
	t bool
	u [][]string
	v uint64
	w *float32
}

func text(value string) *string { return &value }

func typesGoAndComeBack(connection driver.Conn, table string) error {
	ctx := context.Background()
	if err := connection.Exec(ctx, "CREATE TABLE "+table+" ("+columns+") ENGINE = MergeTree ORDER BY a"); err != nil {
		return err
	}
	paris, _ := time.LoadLocation("Europe/Paris")
	want := values{
		a: 18446744073709551615, b: -5, c: 1.5, d: "text é", e: "abcd",
		f: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), g: time.Date(2024, 7, 1, 12, 0, 0, 0, paris),
		h: time.Date(2024, 7, 1, 12, 0, 0, 123456000, time.UTC),
		i: uuid.MustParse("0f0e0d0c-0b0a-0908-0706-050403020100"), j: net.ParseIP("10.1.2.3").To4(),
		k: net.ParseIP("2001:db8::1"), l: decimal.RequireFromString("12.3456"), m: "y", n: nil,
		o: []uint32{1, 2, 3}, p: map[string]int64{"one": 1}, q: []any{int64(7), "seven"}, r: "low",
		s: []*string{text("p"), nil, text("p")}, t: true, u: [][]string{{"a"}, {}, {"b", "c"}}, v: 9, w: nil,
	}
	batch, err := connection.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		return err
	}
	for row := 0; row < 3; row++ {
		if err := batch.Append(want.a, want.b, want.c, want.d, want.e, want.f, want.g, want.h, want.i, want.j, want.k,
			want.l, want.m, want.n, want.o, want.p, want.q, want.r, want.s, want.t, want.u, want.v,
			want.w); err != nil {
			return err
		}
	}
	if err := batch.Send(); err != nil {
		return err
	}
	rows, err := connection.Query(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	count := 0
	for rows.Next() {
		count++
		var got values
		if err := rows.Scan(&got.a, &got.b, &got.c, &got.d, &got.e, &got.f, &got.g, &got.h, &got.i, &got.j, &got.k, &got.l,
			&got.m, &got.n, &got.o, &got.p, &got.q, &got.r, &got.s, &got.t, &got.u, &got.v, &got.w); err != nil {
			return err
		}
		if got.g.Location().String() != "Europe/Paris" || !got.g.Equal(want.g) {
			return fmt.Errorf("zone: want %v, got %v", want.g, got.g)
		}
		if !got.l.Equal(want.l) || !got.h.Equal(want.h) || !got.f.Equal(want.f) || !got.j.Equal(want.j) {
			return fmt.Errorf("got %+v", got)
		}
		got.f, got.g, got.h, got.j, got.l = want.f, want.g, want.h, want.j, want.l
		if err := same(want, got); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return same(3, count)
}

func manyRows(connection driver.Conn) error {
	rows, err := connection.Query(context.Background(),
		"SELECT number, toString(number), toLowCardinality(toString(number % 10)), [number] FROM numbers(200000)")
	if err != nil {
		return err
	}
	defer rows.Close()
	var number, sum, count uint64
	var word, low string
	var list []uint64
	for rows.Next() {
		if err := rows.Scan(&number, &word, &low, &list); err != nil {
			return err
		}
		if word != fmt.Sprint(number) || low != fmt.Sprint(number%10) || list[0] != number {
			return fmt.Errorf("row %d: %s %s %v", number, word, low, list)
		}
		sum += number
		count++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return same([2]uint64{200000, 200000 * 199999 / 2}, [2]uint64{count, sum})
}

func parameters(connection driver.Conn) error {
	ctx := clickhouse.Context(context.Background(), clickhouse.WithParameters(clickhouse.Parameters{
		"number": "42", "word": "it's a word",
	}))
	var number uint64
	var word string
	if err := connection.QueryRow(ctx, "SELECT {number:UInt64}, {word:String}").Scan(&number, &word); err != nil {
		return err
	}
	return same([2]any{uint64(42), "it's a word"}, [2]any{number, word})
}

func settings(connection driver.Conn) error {
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 17}))
	var value uint64
	if err := connection.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&value); err != nil {
		return err
	}
	return same(uint64(17), value)
}

func codeOf(err error) int32 {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	for _, known := range []int32{60, 62, 395, 516} {
		if err != nil && strings.Contains(strings.ToLower(err.Error()), fmt.Sprintf("code: %d", known)) {
			return known
		}
	}
	return 0
}

func errorCode(connection driver.Conn, query string, want int32) error {
	rows, err := connection.Query(context.Background(), query)
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
		rows.Close()
	}
	if codeOf(err) != want {
		return fmt.Errorf("want code %d, got: %v", want, err)
	}
	return nil
}

func inList(connection driver.Conn) error {
	var total uint64
	rows, err := connection.Query(context.Background(), "SELECT sum(number) FROM numbers(10) WHERE number IN (1, 2, 3)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&total); err != nil {
			return err
		}
	}
	return same(uint64(6), total)
}

func emptyResult(connection driver.Conn) error {
	rows, err := connection.Query(context.Background(), "SELECT number, toString(number) FROM numbers(10) WHERE number > 100")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		return errors.New("a row where none was asked for")
	}
	return rows.Err()
}

func databaseSQL() error {
	database := clickhouse.OpenDB(options(clickhouse.CompressionLZ4))
	defer database.Close()
	var word string
	var missing sql.NullString
	if err := database.QueryRow("SELECT concat('a', ?), NULL::Nullable(String)", "b").Scan(&word, &missing); err != nil {
		return err
	}
	return same([2]any{"ab", false}, [2]any{word, missing.Valid})
}

func cancelled(connection driver.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	err := connection.QueryRow(ctx, "SELECT count() FROM system.numbers WHERE NOT ignore(number)").Err()
	if err == nil {
		return errors.New("no error")
	}
	if time.Since(started) > 5*time.Second {
		return fmt.Errorf("took %v", time.Since(started))
	}
	return nil
}

func main() {
	methods := map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD,
		"gzip": clickhouse.CompressionGZIP, "deflate": clickhouse.CompressionDeflate,
	}
	for name, method := range methods {
		connection := open(method)
		check(name+" ping", func() error { return connection.Ping(context.Background()) })
		check(name+" types", func() error { return typesGoAndComeBack(connection, "types_"+name) })
		check(name+" many rows", func() error { return manyRows(connection) })
		check(name+" empty result", func() error { return emptyResult(connection) })
	}
	connection := open(clickhouse.CompressionLZ4)
	check("parameters", func() error { return parameters(connection) })
	check("settings", func() error { return settings(connection) })
	check("unknown table", func() error { return errorCode(connection, "SELECT * FROM missing", 60) })
	check("syntax", func() error { return errorCode(connection, "SELEC 1", 62) })
	check("late error", func() error {
		return errorCode(connection, "SELECT throwIf(number = 900000), toString(number) FROM numbers(1000000)", 395)
	})
	check("IN list", func() error { return inList(connection) })
	check("database/sql", databaseSQL)
	check("cancel", func() error { return cancelled(connection) })
	check("server version", func() error {
		version, err := connection.ServerVersion()
		if err == nil && version.Version.Major < 26 {
			err = fmt.Errorf("%v", version)
		}
		return err
	})
	wrong := options(clickhouse.CompressionLZ4)
	wrong.Auth.Password = "wrong"
	check("wrong password", func() error {
		refused, err := clickhouse.Open(wrong)
		if err == nil {
			err = refused.Ping(context.Background())
		}
		if codeOf(err) != 516 {
			return fmt.Errorf("want code 516, got: %v", err)
		}
		return nil
	})
	if failed > 0 {
		os.Exit(1)
	}
}
