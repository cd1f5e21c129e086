// JDBC: pgvector-java's PGvector is a PGobject of the type vector.  The statements are those of
// Spring AI (2.0.1, PgVectorStore.java), which has a name for hnsw and ivfflat only: the index is
// made before it, under the name that it looks for.
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.util.PGobject;

class PgvectorJdbcClient {
    static final String QUERY = "[0.1,-0.27,0.333,-0.45,0.5,0.61,-0.7,0.8,-0.99,1.1,0.12,-0.13,"
        + "0.14,0.15,-0.16,0.17,0.18,-0.19,0.2,0.21,-0.22,0.23,0.24,1e-3]";
    static final String TABLE = "CREATE TABLE IF NOT EXISTS public.vector_store ("
        + "id integer PRIMARY KEY, content text, metadata json, embedding vector(24))";
    static final String INDEX = "CREATE INDEX IF NOT EXISTS spring_ai_vector_index ON public.vector_store"
        + " USING %s (embedding vector_cosine_ops)";
    static final String INSERT = "INSERT INTO public.vector_store (id, content, metadata, embedding)"
        + " VALUES (?, ?, ?::jsonb, ?) ON CONFLICT (id)"
        + " DO UPDATE SET content = ? , metadata = ?::jsonb , embedding = ? ";
    static final String SEARCH = "SELECT *, embedding <=> ? AS distance FROM public.vector_store"
        + " WHERE embedding <=> ? < ?  ORDER BY distance LIMIT ? ";
    static final String DEFINITION =
        "SELECT substring(pg_get_indexdef('spring_ai_vector_index'::regclass) FROM ' USING (.*)')";

    static Connection connection;
    static int checks = 0;

    record Row(long id, double distance) {}

    static void equal(Object found, Object wanted, String name) {
        System.out.println((found.equals(wanted) ? "ok " : "not ok ") + ++checks + " - " + name);
        if (!found.equals(wanted))
            System.out.println("# found " + found + "\n# wanted " + wanted);
    }

    // The ten neighbours, as psql found them without an index (pgvector_truth.sql).
    static List<Row> truth() throws Exception {
        List<Row> rows = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(System.getenv("TRUTH")))) {
            String[] fields = line.split("\\|");
            if (fields[0].equals("cosine"))
                rows.add(new Row(Long.parseLong(fields[1]), Double.parseDouble(fields[2])));
        }
        return rows;
    }

    static PGobject vector(String text) throws SQLException {
        PGobject vector = new PGobject();
        vector.setType("vector");
        vector.setValue(text);
        return vector;
    }

    static void execute(String statement) throws SQLException {
        try (Statement plain = connection.createStatement()) {
            plain.execute(statement);
        }
    }

    static PreparedStatement prepare(String query, Object... parameters) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(query);
        for (int i = 0; i < parameters.length; i++)
            statement.setObject(i + 1, parameters[i]);
        return statement;
    }

    static String lines(String query, Object... parameters) throws SQLException {
        StringBuilder lines = new StringBuilder();
        ResultSet result = prepare(query, parameters).executeQuery();
        while (result.next())
            lines.append(result.getString(1)).append('\n');
        return lines.toString();
    }

    static void fill() throws SQLException {
        ResultSet items = prepare("SELECT id, embedding::text FROM items WHERE id <= 100").executeQuery();
        while (items.next()) {
            PGobject vector = vector(items.getString(2));
            prepare(INSERT, items.getInt(1), "", "{}", vector, "", "{}", vector).execute();
        }
        equal(lines("SELECT count(*) FROM vector_store AS t JOIN items AS i USING (id)"
            + " WHERE t.embedding = i.embedding"), "100\n", "inserted, every bit of every element");
        execute("INSERT INTO vector_store SELECT id, '', '{}', embedding FROM items WHERE id > 100");
        execute("ANALYZE vector_store");
    }

    static List<Row> search(double threshold) throws SQLException {
        List<Row> rows = new ArrayList<>();
        ResultSet result = prepare(SEARCH, vector(QUERY), vector(QUERY), threshold, 10).executeQuery();
        while (result.next())
            rows.add(new Row(result.getLong("id"), result.getDouble("distance")));
        return rows;
    }

    static void search() throws Exception {
        List<Row> nearest = truth();
        // Until the driver has prepared it, and PostgreSQL has stopped to plan for these parameters
        for (int i = 0; i < 12; i++)
            equal(search(1), nearest, "nearest");
        equal(search(nearest.get(3).distance()), nearest.subList(0, 3), "nearer than the fourth");
        String plan = lines("EXPLAIN " + SEARCH, vector(QUERY), vector(QUERY), 0.4, 10);
        equal(plan.contains("Index Scan using spring_ai_vector_index on "), true,
            "the index serves the statement as it was sent");
        equal(plan.contains("Index Cond"), true, "and the condition on the distance");
    }

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection(System.getenv("JDBC_URL"));
        execute(TABLE);
        execute(INDEX.formatted("engramk"));
        execute(INDEX.formatted("HNSW"));
        equal(lines(DEFINITION), "engramk (embedding vector_cosine_ops)\n", "the index stays the one of engramk");
        fill();
        search();
        System.out.println("1.." + checks);
    }
}
