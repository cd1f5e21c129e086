// JDBC: float[] is real[], double[] is double precision[], a String is varchar; so
// ?::real[].
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.util.PGobject;

public class JdbcDriver {
    static final double[] QUERY = {0.1, -0.27, 0.333, -0.45, 0.5, 0.61, -0.7, 0.8, -0.99, 1.1, 0.12, -0.13,
        0.14, 0.15, -0.16, 0.17, 0.18, -0.19, 0.2, 0.21, -0.22, 0.23, 0.24, 1e-3};
    static final int[] INTEGERS = {1, -2, 3, -4, 5, 6, -7, 8, -9, 1, 1, -1, 1, 1, -1, 1, 1, -1, 2, 2, -2, 2, 2, 300};
    static final String REFUSED = "operator does not exist: real[] <=> double precision[]";
    static final String SCANS = "SELECT sum(scans)::bigint FROM engram_stat_indexes WHERE indexrelname = 'items_embedding'";
    static final String DOMAIN_SCANS = SCANS.replace("items_emb", "domain_items_emb");
    // What came in as it was sent: every bit of every element.
    static final String ARRIVED =
        "SELECT count(*) FROM added AS a JOIN items AS i USING (id) WHERE a.embedding = i.embedding";
    // Prepared by the driver, and planned for any parameter.
    static final String GENERIC = "SELECT coalesce(sum(generic_plans), 0)::bigint FROM pg_prepared_statements"
        + " WHERE statement ~ 'ORDER BY' AND statement !~ 'pg_prepared'";

    static Connection connection;
    static int checks = 0;

    interface Query {
        Object run() throws SQLException;
    }

    record Row(long id, double distance) {}

    static void check(boolean passed, String name, Object... why) {
        System.out.println((passed ? "ok " : "not ok ") + ++checks + " - " + name);
        if (!passed)
            for (Object reason : why)
                System.out.println("# " + String.valueOf(reason).replace("\n", "\n# "));
    }

    static void equal(Object found, Object wanted, String name) {
        check(wanted == null ? found == null : wanted.equals(found), name, "found " + found, "wanted " + wanted);
    }

    static void refused(Query query, String sqlstate, String message, String name) {
        try {
            equal(query.run(), "an error", name);
        } catch (SQLException error) {
            check(error.getSQLState().equals(sqlstate) && error.getMessage().contains(message), name, error);
        }
    }

    // The ten neighbours of a kind, as psql found them without an index (truth.sql).
    static List<Row> truth(String kind) throws Exception {
        List<Row> rows = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(System.getenv("TRUTH")))) {
            String[] fields = line.split("\\|");
            if (fields[0].equals(kind))
                rows.add(new Row(Long.parseLong(fields[1]), Double.parseDouble(fields[2])));
        }
        return rows;
    }

    static String nearest(String parameter, String operator, String table) {
        return "SELECT id, embedding " + operator + " " + parameter + " AS distance FROM " + table
            + " ORDER BY distance LIMIT 10";
    }

    static List<Row> rows(String query, Object parameter) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            return rows(statement, parameter);
        }
    }

    static List<Row> rows(PreparedStatement statement, Object parameter) throws SQLException {
        List<Row> rows = new ArrayList<>();
        statement.setObject(1, parameter);
        try (ResultSet result = statement.executeQuery()) {
            while (result.next())
                rows.add(new Row(result.getLong("id"), result.getDouble("distance")));
        }
        return rows;
    }

    static Object value(String query, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            for (int i = 0; i < parameters.length; i++)
                statement.setObject(i + 1, parameters[i]);
            if (!statement.execute())
                return null;
            ResultSet result = statement.getResultSet();
            result.next();
            return result.getObject(1);
        }
    }

    static long number(String query) throws SQLException {
        return (Long) value(query);
    }

    static float[] floats(double[] doubles) {
        float[] floats = new float[doubles.length];
        for (int i = 0; i < doubles.length; i++)
            floats[i] = (float) doubles[i];
        return floats;
    }

    static void queries() throws Exception {
        String[][] operators = {{"cosine", "<=>"}, {"inner_product", "<#>"}, {"l2", "<->"}};
        String json = Arrays.toString(QUERY);
        String literal = json.replace('[', '{').replace(']', '}');
        String cosine = nearest("?::real[]", "<=>", "items");
        String bare = nearest("?", "<=>", "items");
        long before;

        for (String[] operator : operators) {
            before = number(SCANS);
            equal(rows(nearest("?::real[]", operator[1], "items"), floats(QUERY)), truth(operator[0]), "float[], " + operator[0]);
            equal(number(SCANS) - before, 1L, "float[], " + operator[0] + ": by the index");
        }
        before = number(SCANS);
        equal(rows(bare, floats(QUERY)), truth("cosine"), "float[] without the cast");
        equal(rows(cosine, QUERY), truth("cosine"), "double[]");
        equal(rows(cosine, INTEGERS), truth("integers"), "int[]");
        equal(rows(cosine, ((PGConnection) connection).createArrayOf("float4", floats(QUERY))), truth("cosine"), "createArrayOf");
        equal(rows(cosine, literal), truth("cosine"), "array literal as a String");
        equal(rows(nearest("translate(?, '[]', '{}')::real[]", "<=>", "items"), json), truth("cosine"), "JSON text");
        equal(number(SCANS) - before, 6L, "all of these: by the index");
        refused(() -> rows(bare, QUERY), "42883", REFUSED, "double[] without the cast: refused");
        refused(() -> rows(bare, literal), "42883", "operator does not exist: real[] <=> character varying",
            "String without the cast: refused");
        equal(value("SELECT embedding <=> ?::real[] FROM items WHERE id = 1", (Object) null), null, "NULL gives NULL");

        // prepared statements, and the plan for any parameter
        before = number(SCANS);
        long generic = number(GENERIC);
        List<List<Row>> answers = new ArrayList<>();
        try (PreparedStatement statement = connection.prepareStatement(cosine)) {
            for (int i = 0; i < 20; i++)
                answers.add(rows(statement, floats(QUERY)));
            check(number(GENERIC) > generic, "prepared: planned for any parameter");
        }
        equal(answers, Collections.nCopies(20, truth("cosine")), "prepared");
        equal(number(SCANS) - before, 20L, "prepared: by the index each time");
    }

    static void filters() throws Exception {
        String query = "SELECT id, embedding <=> ?::real[] AS distance FROM tenant_items WHERE %s ORDER BY distance LIMIT 10";
        Array both = connection.createArrayOf("bigint", new Long[] {3L, 7L});

        value("SET enable_seqscan = off");
        filtered(query.formatted("tenant_id = ?"), 7L, "tenant", "long");
        filtered(query.formatted("tenant_id = ANY(?)"), both, "tenants", "bigint[]");
        value("RESET enable_seqscan");
    }

    static void filtered(String query, Object tenants, String kind, String name) throws Exception {
        List<Row> rows = new ArrayList<>();

        try (PreparedStatement statement = connection.prepareStatement(query)) {
            statement.setObject(1, floats(QUERY));
            statement.setObject(2, tenants);
            ResultSet result = statement.executeQuery();
            while (result.next())
                rows.add(new Row(result.getLong("id"), result.getDouble("distance")));
        }
        equal(rows, truth(kind), "filter column, " + name);
        Object plan = value("EXPLAIN (FORMAT JSON) " + query, floats(QUERY), tenants);
        check(plan.toString().contains("Index Cond"), "filter column, " + name + ": by the index", plan);
    }

    static void rowsInAndOut() throws Exception {
        StringBuilder lines = new StringBuilder();

        value("TRUNCATE added");
        try (ResultSet items = connection.createStatement().executeQuery("SELECT id, embedding FROM items");
             PreparedStatement insert = connection.prepareStatement("INSERT INTO added VALUES (?, ?)")) {
            while (items.next()) {
                Float[] vector = (Float[]) items.getArray("embedding").getArray();
                insert.setLong(1, items.getLong("id"));
                insert.setObject(2, vector);
                insert.addBatch();
                lines.append(items.getLong("id")).append("\t{")
                    .append(String.join(",", Arrays.stream(vector).map(String::valueOf).toList())).append("}\n");
            }
            insert.executeBatch();
        }
        equal(number(ARRIVED), 3000L, "INSERT, batch");
        value("TRUNCATE added");
        ((PGConnection) connection).getCopyAPI().copyIn("COPY added FROM STDIN", new StringReader(lines.toString()));
        equal(number(ARRIVED), 3000L, "COPY, text");
        value("INSERT INTO added VALUES (?, ?)", -1L, null);
        equal(value("SELECT embedding FROM added WHERE id = -1"), null, "NULL in and out");
    }

    static void matches() throws Exception {
        String matches = "SELECT engram_nearest(id, embedding, ?::real[], 10) FROM items";

        equal(rows("SELECT m.id, m.distance FROM unnest((" + matches + ")) AS m", QUERY), truth("cosine"), "engram_match[]: unnest");
        Object[] found = (Object[]) ((Array) value(matches, QUERY)).getArray();
        check(((PGobject) found[0]).getValue().startsWith("(1,"), "engram_match[]: PGobjects with a string", found[0]);
    }

    static void domain() throws Exception {
        String insert = "INSERT INTO domain_items VALUES (?, ?) RETURNING embedding";
        long before = number(DOMAIN_SCANS);

        equal(rows(nearest("?::real[]", "<=>", "domain_items"), QUERY), truth("cosine"), "domain");
        equal(number(DOMAIN_SCANS) - before, 1L, "domain: by the index");
        Float[] found = (Float[]) ((Array) value(insert, -1L, QUERY)).getArray();
        Float[] wanted = new Float[QUERY.length];
        for (int i = 0; i < QUERY.length; i++)
            wanted[i] = (float) QUERY[i];
        equal(List.of(found), List.of(wanted), "domain: in and out");
        value("DELETE FROM domain_items WHERE id = -1");
        refused(() -> value(insert, -1L, new float[23]), "23514", "violates check constraint", "domain: another length refused");
    }

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection(System.getenv("JDBC_URL"));
        try {
            queries();
            filters();
            rowsInAndOut();
            matches();
            domain();
        } catch (Exception error) {
            check(false, "no exception", error, Arrays.toString(error.getStackTrace()));
        }
        System.out.println("1.." + checks);
    }
}
