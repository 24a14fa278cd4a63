// Checks the emulator with PostgreSQL's JDBC driver. Prints one line per check and fails when one of them does.

import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.postgresql.PGConnection;

public class Check {
    private static final OffsetDateTime STARTED = OffsetDateTime.of(2013, 1, 1, 5, 0, 0, 0, ZoneOffset.UTC);
    private static final String SCHEMA = System.getenv("MATERIALIZE_SCHEMA");
    private static int failed;

    private interface Body {
        void run() throws Exception;
    }

    private static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failed++;
            System.out.println("FAIL " + name + ": " + error);
            error.printStackTrace(System.out);
        }
    }

    private static void same(Object want, Object got) {
        if (!Objects.equals(want, got)) {
            throw new AssertionError("want " + want + ", got " + got);
        }
    }

    private static void failsWith(String state, Body body) throws Exception {
        try {
            body.run();
        } catch (SQLException error) {
            same(state, error.getSQLState());
            return;
        }
        throw new AssertionError("no error, want SQLSTATE " + state);
    }

    private static Connection connect(String settings) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("MATERIALIZE_ADDRESS") + "/materialize?user=materialize&currentSchema="
            + SCHEMA + "&socketTimeout=30&" + settings;
        return DriverManager.getConnection(url);
    }

    private static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static long count(Connection connection, String sensor) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT n FROM sensors WHERE sensor = ?")) {
            statement.setString(1, sensor);
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? rows.getLong(1) : 0;
            }
        }
    }

    private static void checkConnection(String label, String settings) throws SQLException {
        Connection connection = connect(settings);
        String insert = "INSERT INTO readings VALUES (?, ?, ?, ?, ?)";
        check(label + " metadata", () -> {
            same(true, connection.isValid(5));
            List<String> columns = new ArrayList<>();
            try (ResultSet rows = connection.getMetaData().getColumns(null, SCHEMA, "sensors", null)) {
                while (rows.next()) {
                    columns.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME"));
                }
            }
            same(List.of("sensor text", "n int8", "most float8"), columns);
            try (ResultSet rows = connection.getMetaData().getTables(null, SCHEMA, "readings", new String[] {"TABLE"})) {
                same(true, rows.next());
            }
        });
        check(label + " prepared, and a view is read after each write", () -> {
            try (PreparedStatement statement = connection.prepareStatement(insert)) {
                for (int number = 1; number <= 9; number++) {
                    statement.setString(1, label);
                    statement.setObject(2, STARTED);
                    statement.setDouble(3, number);
                    statement.setBigDecimal(4, new BigDecimal("12.25"));
                    statement.setBoolean(5, true);
                    same(1, statement.executeUpdate());
                    same((long) number, count(connection, label));
                }
            }
        });
        check(label + " types", () -> {
            String sql = "SELECT \"at\", value, price, ok, NULL::text FROM readings WHERE sensor = ? AND value = ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setString(1, label);
                statement.setDouble(2, 3);
                try (ResultSet rows = statement.executeQuery()) {
                    same(true, rows.next());
                    same(STARTED, rows.getObject(1, OffsetDateTime.class).withOffsetSameInstant(ZoneOffset.UTC));
                    same(3.0, rows.getDouble(2));
                    same(new BigDecimal("12.25"), rows.getBigDecimal(3));
                    same(true, rows.getBoolean(4));
                    same(null, rows.getString(5));
                }
            }
        });
        check(label + " batches", () -> {
            try (PreparedStatement statement = connection.prepareStatement(insert)) {
                for (int number = 0; number < 500; number++) {
                    statement.setString(1, label + " batch");
                    statement.setObject(2, STARTED);
                    statement.setDouble(3, number);
                    statement.setBigDecimal(4, null);
                    statement.setBoolean(5, false);
                    statement.addBatch();
                }
                same(500, statement.executeBatch().length);
            }
            same(500L, count(connection, label + " batch"));
        });
        check(label + " rows in portions", () -> {
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement("SELECT value FROM readings WHERE sensor = ?")) {
                statement.setFetchSize(64);
                statement.setString(1, label + " batch");
                int seen = 0;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        seen++;
                    }
                }
                same(500, seen);
            } finally {
                connection.commit();
                connection.setAutoCommit(true);
            }
        });
        check(label + " errors", () -> {
            failsWith("42P01", () -> run(connection, "SELECT * FROM nothing"));
            failsWith("22P02", () -> run(connection, "SELECT 'x'::int"));
            failsWith("0A000", () -> run(connection, "CREATE DATABASE other"));
        });
        check(label + " transactions", () -> {
            connection.setAutoCommit(false);
            for (boolean commits : new boolean[] {false, true}) {
                run(connection, "INSERT INTO readings (sensor) VALUES ('" + label + " tx')");
                run(connection, "INSERT INTO readings (sensor) VALUES ('" + label + " tx')");
                if (commits) {
                    connection.commit();
                } else {
                    connection.rollback();
                }
            }
            connection.setAutoCommit(true);
            same(2L, count(connection, label + " tx"));
        });
        check(label + " SUBSCRIBE by cursor", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("DECLARE c CURSOR FOR SUBSCRIBE sensors ENVELOPE UPSERT (KEY (sensor)) WITH (PROGRESS)");
                boolean isFound = false;
                while (!isFound) {
                    try (ResultSet rows = statement.executeQuery("FETCH ALL c")) {
                        while (rows.next()) {
                            isFound |= label.equals(rows.getString("sensor")) && "upsert".equals(rows.getString("mz_state"));
                        }
                    }
                }
            } finally {
                connection.rollback();
                connection.setAutoCommit(true);
            }
        });
        check(label + " COPY", () -> {
            StringWriter out = new StringWriter();
            connection.unwrap(PGConnection.class).getCopyAPI().copyOut(
                "COPY (SELECT sensor, n FROM sensors WHERE sensor = '" + label + "') TO STDOUT", out);
            same(label + "\t9\n", out.toString());
        });
        connection.close();
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect("sslmode=disable")) {
            check("make objects", () -> {
                run(connection, "CREATE TABLE readings (sensor text, \"at\" timestamptz, value float8, price numeric, ok bool)");
                run(connection, "CREATE MATERIALIZED VIEW sensors AS SELECT sensor, count(*) AS n, max(value) AS most "
                    + "FROM readings GROUP BY sensor");
            });
        }
        checkConnection("binary", "sslmode=prefer&prepareThreshold=-1");
        checkConnection("prepared after five", "sslmode=disable");
        checkConnection("simple", "sslmode=disable&preferQueryMode=simple");
        System.exit(failed > 0 ? 1 : 0);
    }
}
