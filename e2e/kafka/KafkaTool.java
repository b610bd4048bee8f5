import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own client, so that what is written and read by it shares no code with Weir.
 *
 * <pre>
 * create  SERVERS TOPIC PARTITIONS [KEY=VALUE …]
 * produce SERVERS TOPIC FILE [RATE]     a line a message, to the partitions in turn; RATE is
 *                                       messages a second, as fast as can be without it, and
 *                                       from the first byte of standard input on; it ends when
 *                                       that ends without one
 * read    SERVERS TOPIC FILE            partition, offset, key and value of all committed
 *                                       messages, separated by tabs; an absent key is empty
 * group   SERVERS TOPIC GROUP           the group's position by partition
 * </pre>
 */
public final class KafkaTool {
    public static void main(String[] args) throws Exception {
        String servers = args[1];
        String topic = args[2];
        switch (args[0]) {
            case "create" -> create(servers, topic, args);
            case "produce" -> produce(servers, topic, Path.of(args[3]), args.length > 4 ? Long.parseLong(args[4]) : 0);
            case "read" -> read(servers, topic, Path.of(args[3]));
            case "group" -> group(servers, topic, args[3]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static Properties client(String servers) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        return properties;
    }

    private static void create(String servers, String topic, String[] args) throws Exception {
        Map<String, String> configs = new HashMap<>();
        for (int i = 4; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            configs.put(pair[0], pair[1]);
        }
        try (Admin admin = Admin.create(client(servers))) {
            NewTopic made = new NewTopic(topic, Integer.parseInt(args[3]), (short) 1);
            admin.createTopics(List.of(made.configs(configs))).all().get();
        }
    }

    private static void produce(String servers, String topic, Path file, long rate)
            throws Exception {
        Properties properties = client(servers);
        properties.put("acks", "all");
        properties.put("linger.ms", "20");
        properties.put("batch.size", "262144");
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        AtomicReference<Exception> failed = new AtomicReference<>();
        AtomicBoolean hurry = new AtomicBoolean(rate == 0);
        if (rate > 0) {
            Thread listener = new Thread(() -> {
                try {
                    if (System.in.read() < 0) {
                        // Whoever started it has died without a word.
                        Runtime.getRuntime().halt(1);
                    }
                    hurry.set(true);
                } catch (IOException gone) {
                    // Nobody asks for more speed.
                }
            });
            listener.setDaemon(true);
            listener.start();
        }
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
                BufferedReader lines = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            int partitions = producer.partitionsFor(topic).size();
            long n = 0;
            long start = System.nanoTime();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                long early = hurry.get() ? 0 : start + n * 1_000_000_000L / rate - System.nanoTime();
                if (early > 5_000_000L) {
                    Thread.sleep(early / 1_000_000L);
                }
                int partition = (int) (n++ % partitions);
                producer.send(new ProducerRecord<>(topic, partition, null, line), (done, error) -> {
                    if (error != null) {
                        failed.compareAndSet(null, error);
                    }
                });
            }
            producer.flush();
        }
        if (failed.get() != null) {
            throw failed.get();
        }
    }

    private static KafkaConsumer<String, String> consumer(String servers, String group) {
        Properties properties = client(servers);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("max.poll.records", "10000");
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        if (group != null) {
            properties.put("group.id", group);
        }
        return new KafkaConsumer<>(properties);
    }

    private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .collect(Collectors.toList());
    }

    private static void read(String servers, String topic, Path file) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer(servers, null);
                BufferedWriter out = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            // The end of what is committed now: a moving end would never be reached.
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    TopicPartition from = new TopicPartition(record.topic(), record.partition());
                    if (record.offset() >= ends.get(from)) {
                        continue;
                    }
                    out.write(Integer.toString(record.partition()));
                    out.write('\t');
                    out.write(Long.toString(record.offset()));
                    out.write('\t');
                    out.write(record.key() == null ? "" : record.key());
                    out.write('\t');
                    out.write(record.value() == null ? "" : record.value());
                    out.write('\n');
                }
            }
        }
    }

    private static void group(String servers, String topic, String group) {
        try (KafkaConsumer<String, String> consumer = consumer(servers, group)) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            consumer.committed(Set.copyOf(partitions)).forEach((partition, position) -> {
                if (position != null) {
                    System.out.println(partition.partition() + "\t" + position.offset());
                }
            });
        }
    }
}
