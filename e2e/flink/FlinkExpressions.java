import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Evaluates expressions over the one row of the table "fixture", and writes lines of expression,
 * value and type: FlinkExpressions.java TABLE_SQL EXPRESSIONS ANSWERS.
 *
 * <p>What fails has the value ERROR. Many go into one job; a job that fails is halved until the
 * expression that fails is found. One that begins with "!" is expected to fail, and gets a job of
 * its own.
 */
public class FlinkExpressions {
  private static final int AT_ONCE = 60;
  private static TableEnvironment tables;
  private static final Map<String, String> VALUES = new HashMap<>();

  public static void main(String[] arguments) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", "1");
    settings.setString("table.local-time-zone", "UTC");
    settings.setString("taskmanager.memory.managed.size", "64m");
    tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inBatchMode().withConfiguration(settings).build());
    tables.executeSql(Files.readString(Path.of(arguments[0])));
    List<String> expressions = new ArrayList<>();
    List<String> failing = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(arguments[1]))) {
      String expression = line.startsWith("!") ? line.substring(1) : line;
      expressions.add(expression);
      if (line.startsWith("!")) failing.add(expression);
    }
    Map<String, String> types = new HashMap<>();
    List<String> valid = new ArrayList<>();
    for (String expression : expressions) {
      try {
        types.put(
            expression,
            tables
                .sqlQuery("SELECT " + expression + " FROM fixture")
                .getResolvedSchema()
                .getColumnDataTypes()
                .get(0)
                .getLogicalType()
                .asSummaryString());
        if (failing.contains(expression)) evaluate(List.of(expression));
        else valid.add(expression);
      } catch (Exception refused) {
        types.put(expression, "-");
        VALUES.put(expression, "ERROR");
      }
    }
    for (int i = 0; i < valid.size(); i += AT_ONCE) {
      evaluate(valid.subList(i, Math.min(valid.size(), i + AT_ONCE)));
    }
    StringBuilder answers = new StringBuilder();
    for (String expression : expressions) {
      answers.append(expression).append('\t').append(VALUES.get(expression));
      answers.append('\t').append(types.get(expression)).append('\n');
    }
    Files.writeString(Path.of(arguments[2]), answers.toString());
    System.exit(0);
  }

  private static void evaluate(List<String> expressions) {
    try {
      List<String> columns = new ArrayList<>();
      for (String expression : expressions) {
        columns.add("CAST(" + expression + " AS STRING) AS c" + columns.size());
      }
      String query = "SELECT " + String.join(", ", columns) + " FROM fixture";
      Map<String, String> found = new HashMap<>();
      try (CloseableIterator<Row> rows = tables.executeSql(query).collect()) {
        Row row = rows.next();
        for (int i = 0; i < expressions.size(); i++) {
          Object value = row.getField(i);
          found.put(expressions.get(i), value == null ? "NULL" : value.toString());
        }
      }
      VALUES.putAll(found);
    } catch (Exception | Error failed) {
      if (expressions.size() == 1) {
        VALUES.put(expressions.get(0), "ERROR");
        return;
      }
      int half = expressions.size() / 2;
      evaluate(expressions.subList(0, half));
      evaluate(expressions.subList(half, expressions.size()));
    }
  }
}
