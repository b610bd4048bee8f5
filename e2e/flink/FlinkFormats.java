import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSourceSplit;
import org.apache.flink.connector.file.src.reader.BulkFormat;
import org.apache.flink.connector.file.src.util.RecordAndPosition;
import org.apache.flink.formats.csv.CsvFileFormatFactory;
import org.apache.flink.formats.csv.CsvFormatFactory;
import org.apache.flink.formats.json.JsonFormatFactory;
import org.apache.flink.table.connector.RuntimeConverter;
import org.apache.flink.table.connector.format.ProjectableDecodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.SerializationFormatFactory;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.connector.sink.SinkRuntimeProviderContext;
import org.apache.flink.table.runtime.connector.source.ScanRuntimeProviderContext;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.utils.LogicalTypeParser;
import org.apache.flink.table.types.utils.TypeConversions;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Reads records by Flink's formats and writes them again: FlinkFormats.java CASES ANSWERS.
 *
 * <p>A case is a line of format with options, type, and record, between tabs; what else the line
 * has is passed over. The answer has behind them: the rows as "print" shows them, the rows as JSON,
 * the rows as CSV. Bytes that are not printable ASCII stand as %XX. A type that is not a ROW is that
 * of a value: the record is {"f":VALUE,"e":"x"} in JSON, VALUE,x in CSV.
 */
public class FlinkFormats {
  public static void main(String[] arguments) throws Exception {
    StringBuilder answers = new StringBuilder();
    for (String line : Files.readAllLines(Path.of(arguments[0]))) {
      if (line.isEmpty() || line.startsWith("# ")) continue;
      String[] parts = line.split("\t", -1);
      answers.append(String.join("\t", parts[0], parts[1], parts[2])).append('\t');
      answers.append(answer(parts[0], parts[1], parts[2])).append('\n');
    }
    Files.writeString(Path.of(arguments[1]), answers.toString());
    System.exit(0);
  }

  private static String answer(String format, String type, String record) {
    String[] words = format.split(";");
    Configuration options = new Configuration();
    for (String option : Arrays.copyOfRange(words, 1, words.length)) {
      String[] pair = option.split("=", 2);
      options.setString(pair[0], new String(decode(pair[1]), StandardCharsets.UTF_8));
    }
    boolean json = words[0].equals("json");
    boolean whole = type.startsWith("ROW<");
    byte[] bytes =
        decode(whole ? record : json ? "{\"f\":" + record + ",\"e\":\"x\"}" : record + ",x");
    List<String> printed = new ArrayList<>();
    List<String> inJson = new ArrayList<>();
    List<String> inCsv = new ArrayList<>();
    try {
      DataType row =
          TypeConversions.fromLogicalToDataType(
              LogicalTypeParser.parse(
                      whole ? type : "ROW<f " + type + ", e STRING>",
                      FlinkFormats.class.getClassLoader())
                  .copy(false));
      SinkRuntimeProviderContext sink = new SinkRuntimeProviderContext(false);
      DynamicTableSink.DataStructureConverter converter = sink.createDataStructureConverter(row);
      converter.open(RuntimeConverter.Context.create(FlinkFormats.class.getClassLoader()));
      for (RowData one : read(words[0], options, row, bytes)) {
        printed.add(encode(show((Row) converter.toExternal(one), whole)));
        String text = write(new JsonFormatFactory(), row, one);
        boolean all = whole || text.equals("ERROR");
        inJson.add(all ? text : text.substring(5, text.lastIndexOf(",\"e\":")));
        text = write(new CsvFormatFactory(), row, one);
        all = whole || text.equals("ERROR");
        inCsv.add(all ? text : text.substring(0, text.lastIndexOf(",")));
      }
    } catch (Throwable refused) {
      return "ERROR";
    }
    if (printed.isEmpty()) return "NOTHING";
    List<String> ways =
        List.of(
            String.join(" | ", printed), String.join(" | ", inJson), String.join(" | ", inCsv));
    return String.join("\t", ways);
  }

  private static List<RowData> read(String format, Configuration options, DataType row, byte[] data)
      throws Exception {
    return switch (format) {
      case "json" -> message(new JsonFormatFactory(), options, row, data);
      case "csv-message" -> message(new CsvFormatFactory(), options, row, data);
      default -> file(options, row, data);
    };
  }

  private static String write(SerializationFormatFactory format, DataType type, RowData row) {
    try {
      SerializationSchema<RowData> schema =
          format
              .createEncodingFormat(null, new Configuration())
              .createRuntimeEncoder(new SinkRuntimeProviderContext(false), type);
      schema.open(null);
      return encode(schema.serialize(row));
    } catch (Throwable refused) {
      return "ERROR";
    }
  }

  /** A row as it shows itself, or so its first field alone. */
  private static byte[] show(Row row, boolean whole) {
    String text = (whole ? row : Row.of(row.getField(0))).toString();
    return (whole ? text : text.substring(3, text.length() - 1)).getBytes(StandardCharsets.UTF_8);
  }

  private static List<RowData> message(
      DeserializationFormatFactory format, Configuration options, DataType type, byte[] message)
      throws Exception {
    DeserializationSchema<RowData> schema =
        format
            .createDecodingFormat(null, options)
            .createRuntimeDecoder(ScanRuntimeProviderContext.INSTANCE, type);
    schema.open(null);
    List<RowData> rows = new ArrayList<>();
    schema.deserialize(
        message,
        new Collector<>() {
          public void collect(RowData row) {
            if (row != null) rows.add(row);
          }

          public void close() {}
        });
    return rows;
  }

  private static List<RowData> file(Configuration options, DataType type, byte[] content)
      throws Exception {
    Path path = Files.createTempFile("case", ".csv");
    try {
      Files.write(path, content);
      int[][] all =
          IntStream.range(0, DataType.getFieldCount(type))
              .mapToObj(i -> new int[] {i})
              .toArray(int[][]::new);
      BulkFormat<RowData, FileSourceSplit> format =
          ((ProjectableDecodingFormat<BulkFormat<RowData, FileSourceSplit>>)
                  new CsvFileFormatFactory().createDecodingFormat(null, options))
              .createRuntimeDecoder(ScanRuntimeProviderContext.INSTANCE, type, all);
      org.apache.flink.core.fs.Path file = new org.apache.flink.core.fs.Path(path.toUri());
      FileSourceSplit split =
          new FileSourceSplit("1", file, 0, content.length, 0, content.length);
      List<RowData> rows = new ArrayList<>();
      try (BulkFormat.Reader<RowData> reader = format.createReader(new Configuration(), split)) {
        for (BulkFormat.RecordIterator<RowData> batch; (batch = reader.readBatch()) != null; ) {
          for (RecordAndPosition<RowData> one; (one = batch.next()) != null; ) {
            rows.add(one.getRecord());
          }
          batch.releaseBatch();
        }
      }
      return rows;
    } finally {
      Files.delete(path);
    }
  }

  private static byte[] decode(String text) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '%') {
        out.write(Integer.parseInt(new String(bytes, i + 1, 2, StandardCharsets.UTF_8), 16));
        i += 2;
      } else {
        out.write(bytes[i]);
      }
    }
    return out.toByteArray();
  }

  private static String encode(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    for (byte one : bytes) {
      int value = one & 0xff;
      if (value < ' ' || value > '~' || value == '%') out.append(String.format("%%%02X", value));
      else out.append((char) value);
    }
    return out.toString();
  }
}
