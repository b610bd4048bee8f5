import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/** Runs the statements of a SQL file in one JVM: FlinkSql.java FILE PARALLELISM [SETTING=VALUE]…. */
public class FlinkSql {
  public static void main(String[] arguments) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", arguments[1]);
    settings.setString("pipeline.object-reuse", "true");
    // One that fails says why, instead of beginning again for ever.
    settings.setString("restart-strategy.type", "none");
    settings.setString("execution.checkpointing.interval", "10 s");
    // In memory, as by default, a checkpoint may have 5 MB.
    settings.setString("execution.checkpointing.dir", Path.of("checkpoints").toAbsolutePath().toUri().toString());
    settings.setString("table.local-time-zone", "UTC");
    settings.setString("taskmanager.numberOfTaskSlots", "16");
    settings.setString("taskmanager.memory.managed.size", "1g");
    settings.setString("taskmanager.memory.network.min", "256m");
    settings.setString("taskmanager.memory.network.max", "256m");
    for (int i = 2; i < arguments.length; i++) {
      String[] setting = arguments[i].split("=", 2);
      settings.setString(setting[0], setting[1]);
    }
    TableEnvironment tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*\\n")) {
      String text = statement.strip().replaceAll(";$", "");
      if (text.isEmpty()) continue;
      TableResult result = tables.executeSql(text);
      if (text.startsWith("INSERT") || text.startsWith("EXECUTE")) result.await();
    }
    System.exit(0);
  }
}
