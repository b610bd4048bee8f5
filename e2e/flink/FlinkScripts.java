import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs SQL scripts one after the other in one JVM and writes what is left of their rows:
 * FlinkScripts.java ANSWERS SCRIPTS…
 *
 * <p>The answer to a script is the file NAME.rows, a line for every row of the final multiset, or
 * NAME.error, whose first word is "refused" when the script was not started and "failed" when its
 * data made it fail. Rows are those of queries that stand on their own, of print tables and of the
 * files below "out". The answers' folder mirrors the scripts' paths as given.
 */
public class FlinkScripts {
  private static final long LIMIT_SECONDS = 60;
  private static final String MODE = "execution.runtime-mode";
  private static final Pattern SET =
      Pattern.compile("SET\\s+'([^']*)'\\s*=\\s*'([^']*)'", Pattern.CASE_INSENSITIVE);
  private static final Pattern RESET =
      Pattern.compile("RESET\\s+'([^']*)'", Pattern.CASE_INSENSITIVE);
  private static final Pattern PRINTED =
      Pattern.compile("(.*?)([+-][IUD])(\\[.*)", Pattern.DOTALL);

  private final Map<String, Integer> rows = new TreeMap<>();

  public static void main(String[] arguments) throws Exception {
    PrintStream console = System.out;
    for (int i = 1; i < arguments.length; i++) {
      Path script = Path.of(arguments[i]);
      String name = arguments[i].replaceAll("\\.sql$", "");
      Path answer = Path.of(arguments[0], name);
      Files.createDirectories(answer.getParent());
      delete(Path.of("out"));
      ByteArrayOutputStream printed = new ByteArrayOutputStream();
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      FlinkScripts run = new FlinkScripts();
      boolean started = false;
      String error = null;
      try {
        List<String> statements = split(Files.readString(script));
        TableEnvironment tables = environment(statements.stream().anyMatch(FlinkScripts::isBatch));
        for (String statement : statements) {
          started = false;
          TableResult result = run.execute(tables, statement);
          if (result == null) continue;
          started = true;
          run.take(statement, result);
        }
      } catch (Throwable problem) {
        error = (started ? "failed" : "refused") + ": " + reason(problem);
      }
      System.setOut(console);
      Path to = Path.of(answer + (error == null ? ".rows" : ".error"));
      if (error == null) {
        run.addPrinted(printed.toString(StandardCharsets.UTF_8));
        run.addFiles(Path.of("out"));
        Files.writeString(to, run.answer());
      } else {
        Files.writeString(to, error + "\n");
      }
      console.println(name + (error == null ? "" : "  " + error));
    }
    System.exit(0);
  }

  /** Whether it sets the mode, which an environment is made with; Flink's SQL client makes one. */
  private static boolean isBatch(String statement) {
    Matcher set = SET.matcher(statement);
    return set.matches()
        && set.group(1).equals(MODE)
        && set.group(2).equalsIgnoreCase("batch");
  }

  private static TableEnvironment environment(boolean isBatch) {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", "1");
    settings.setString("table.local-time-zone", "UTC");
    settings.setString("taskmanager.memory.managed.size", "64m");
    // A watermark after every row: otherwise a clock decides which rows are late.
    settings.setString("pipeline.auto-watermark-interval", "0");
    settings.setString("restart-strategy.type", "disable");
    EnvironmentSettings.Builder mode = EnvironmentSettings.newInstance();
    mode = isBatch ? mode.inBatchMode() : mode.inStreamingMode();
    return TableEnvironment.create(mode.withConfiguration(settings).build());
  }

  private TableResult execute(TableEnvironment tables, String statement) {
    Matcher set = SET.matcher(statement);
    if (isBatch(statement)) return null;
    if (set.matches()) {
      tables.getConfig().set(set.group(1), set.group(2));
      return null;
    }
    Matcher reset = RESET.matcher(statement);
    if (reset.matches()) {
      tables.getConfig().getConfiguration().removeKey(reset.group(1));
      return null;
    }
    return tables.executeSql(statement);
  }

  private void take(String statement, TableResult result) throws Exception {
    String word = statement.split("[\\s(]", 2)[0].toUpperCase();
    switch (word) {
      case "INSERT", "EXECUTE" -> result.await(LIMIT_SECONDS, TimeUnit.SECONDS);
      case "SELECT", "WITH", "VALUES", "" -> {
        try (CloseableIterator<Row> found = result.collect()) {
          while (found.hasNext()) {
            Row row = found.next();
            String text = row.toString();
            add("", text.substring(0, 2), text.substring(2));
          }
        }
      }
      // CREATE TABLE … AS SELECT is a job.
      default -> {
        if (result.getJobClient().isPresent()) result.await(LIMIT_SECONDS, TimeUnit.SECONDS);
      }
    }
  }

  private void add(String where, String kind, String row) {
    int change = kind.equals("+I") || kind.equals("+U") ? 1 : -1;
    rows.merge(where + row, change, Integer::sum);
  }

  /** Lines of print tables; a row's text may itself have line breaks. */
  private void addPrinted(String printed) {
    for (String line : printed.split("\\]\n")) {
      if (line.isEmpty()) continue;
      Matcher row = PRINTED.matcher(line);
      if (!row.matches()) throw new IllegalStateException("not a row: " + line);
      add(row.group(1), row.group(2), row.group(3) + "]");
    }
  }

  private void addFiles(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) return;
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        String name = path.getFileName().toString();
        if (!Files.isRegularFile(path) || name.startsWith(".") || name.startsWith("_")) continue;
        for (String line : Files.readAllLines(path)) {
          rows.merge(path.getParent() + ": " + line, 1, Integer::sum);
        }
      }
    }
  }

  private String answer() {
    StringBuilder text = new StringBuilder();
    rows.forEach(
        (row, count) -> {
          if (count < 0) throw new IllegalStateException("taken back, but never given: " + row);
          text.append((row.replace("\n", "\\n") + "\n").repeat(count));
        });
    return text.toString();
  }

  private static String reason(Throwable problem) {
    List<String> said = new ArrayList<>();
    for (Throwable at = problem; at != null; at = at.getCause()) {
      if (at.getMessage() != null) said.add(at.getMessage());
    }
    String last = said.isEmpty() ? problem.toString() : said.get(said.size() - 1);
    String line = last.strip().split("\n")[0].strip();
    return line.length() > 200 ? line.substring(0, 200) : line;
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) return;
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : (Iterable<Path>) paths.sorted(Comparator.reverseOrder())::iterator) {
        Files.delete(path);
      }
    }
  }

  /** Statements without their semicolons and without comments; a statement set is one. */
  private static List<String> split(String script) {
    List<String> statements = new ArrayList<>();
    StringBuilder statement = new StringBuilder();
    for (int i = 0; i < script.length(); i++) {
      char c = script.charAt(i);
      if (script.startsWith("--", i)) {
        while (i < script.length() && script.charAt(i) != '\n') i++;
        statement.append('\n');
      } else if (script.startsWith("/*", i) && !script.startsWith("/*+", i)) {
        i = script.indexOf("*/", i) + 1;
      } else if (c == '\'' || c == '`') {
        int end = script.indexOf(c, i + 1);
        statement.append(script, i, end + 1);
        i = end;
      } else if (c == ';' && !inSet(statement.toString())) {
        if (!statement.toString().isBlank()) statements.add(statement.toString().strip());
        statement.setLength(0);
      } else {
        statement.append(c);
      }
    }
    if (!statement.toString().isBlank()) statements.add(statement.toString().strip());
    return statements;
  }

  private static boolean inSet(String statement) {
    String text = statement.strip().toUpperCase();
    return text.matches("(?s)EXECUTE\\s+STATEMENT\\s+SET\\b.*") && !text.matches("(?s).*\\bEND");
  }
}
