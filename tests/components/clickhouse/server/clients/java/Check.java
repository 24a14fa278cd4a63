// Checks the server with ClickHouse's JDBC driver. Prints one line per check and fails when one of them does.

import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZonedDateTime;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;

public class Check {
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

    private static Connection connect(String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("CLICKHOUSE_USER"));
        properties.setProperty("password", System.getenv("CLICKHOUSE_PASSWORD"));
        for (int index = 0; index < settings.length; index += 2) {
            properties.setProperty(settings[index], settings[index + 1]);
        }
        String address = System.getenv("CLICKHOUSE_ADDRESS") + "/" + System.getenv("CLICKHOUSE_DATABASE");
        return DriverManager.getConnection("jdbc:clickhouse://" + address, properties);
    }

    private static void failsWith(int code, Body body) throws Exception {
        try {
            body.run();
        } catch (SQLException error) {
            if (error.getErrorCode() != code && !String.valueOf(error.getMessage()).contains("ode: " + code)) {
                throw error;
            }
            return;
        }
        throw new AssertionError("no error, want code " + code);
    }

    private static void checkConnection(String label, String... settings) throws SQLException {
        Connection connection = connect(settings);
        String table = "java_" + label;
        check(label + " metadata", () -> {
            same(true, connection.isValid(5));
            same(true, connection.getMetaData().getDatabaseProductVersion().startsWith("26."));
        });
        check(label + " create", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TABLE " + table + " (id UInt64, name String, price Decimal(18, 4), day Date, "
                    + "at DateTime64(3), key UUID, note Nullable(String), tags Array(String), kind LowCardinality(String)) "
                    + "ENGINE = MergeTree ORDER BY id");
            }
        });
        UUID key = UUID.fromString("0f0e0d0c-0b0a-0908-0706-050403020100");
        LocalDateTime at = LocalDateTime.of(2024, 2, 29, 12, 0, 0, 123_000_000);
        check(label + " batch insert", () -> {
            String sql = "INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                for (int id = 0; id < 1000; id++) {
                    statement.setLong(1, id);
                    statement.setString(2, "it's " + id);
                    statement.setBigDecimal(3, new BigDecimal("12.3456"));
                    statement.setObject(4, LocalDate.of(2024, 2, 29));
                    statement.setObject(5, Timestamp.valueOf(at));
                    statement.setObject(6, key);
                    statement.setString(7, null);
                    statement.setObject(8, new String[] {"a", "b"});
                    statement.setString(9, "low");
                    statement.addBatch();
                }
                same(1000, statement.executeBatch().length);
            }
        });
        check(label + " select", () -> {
            String sql = "SELECT * FROM " + table + " WHERE id = ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setLong(1, 7);
                try (ResultSet rows = statement.executeQuery()) {
                    same(true, rows.next());
                    same(7L, rows.getLong("id"));
                    same("it's 7", rows.getString("name"));
                    same(new BigDecimal("12.3456"), rows.getBigDecimal("price"));
                    same("2024-02-29", rows.getDate("day").toString());
                    same(key.toString(), rows.getString("key"));
                    same(null, rows.getString("note"));
                    same("low", rows.getString("kind"));
                    Array tags = rows.getArray("tags");
                    same(2, ((Object[]) tags.getArray()).length);
                    same(false, rows.next());
                }
            }
        });
        check(label + " many rows", () -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("SELECT number, toString(number) FROM numbers(200000)")) {
                long count = 0;
                while (rows.next()) {
                    same(String.valueOf(rows.getLong(1)), rows.getString(2));
                    count++;
                }
                same(200_000L, count);
            }
        });
        check(label + " no rows", () -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("SELECT * FROM " + table + " WHERE id > 1000000")) {
                same(false, rows.next());
            }
        });
        check(label + " zones", () -> {
            String sql = "SELECT toDateTime('2024-07-01 12:00:00', 'Europe/Paris'), toDateTime64(0, 3, 'Asia/Tokyo')";
            try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
                rows.next();
                same(1719828000000L, rows.getObject(1, ZonedDateTime.class).toInstant().toEpochMilli());
                same(0L, rows.getObject(2, ZonedDateTime.class).toInstant().toEpochMilli());
            }
        });
        check(label + " unknown table", () -> failsWith(60, () -> {
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT * FROM missing");
            }
        }));
        check(label + " syntax", () -> failsWith(62, () -> {
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT FROM WHERE");
            }
        }));
        check(label + " update counts", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("INSERT INTO " + table + " (id) SELECT number FROM numbers(5000, 10)");
                statement.execute("DROP TABLE " + table);
            }
        });
        connection.close();
    }

    public static void main(String[] arguments) throws Exception {
        checkConnection("usual");
        checkConnection("packed", "compress", "true", "decompress", "true");
        checkConnection("http", "client.use_http_compression", "true", "compress", "true", "decompress", "true");
        check("tables", () -> {
            try (Connection connection = connect();
                    ResultSet tables = connection.getMetaData().getTables(null, "system", "one", null)) {
                same(true, tables.next());
                same("one", tables.getString("TABLE_NAME"));
            }
        });
        check("wrong password", () -> failsWith(516, () -> {
            try (Connection connection = connect("password", "wrong"); Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT 1");
            }
        }));
        System.exit(failed == 0 ? 0 : 1);
    }
}
