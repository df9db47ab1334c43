# What bench.proto says, in terms of Cap'n Proto: streams are calls upon an object, as
# https://capnproto.org/news/2020-04-23-capnproto-0.8.html has it.
@0xcd8671c5108bc4dc;

interface Bench {
  # Answers with the payload of the request.
  unary @0 (payload :Data) -> (payload :Data);

  # Writes as many payloads as are asked for, each of as many bytes, and ends.
  download @1 (count :UInt64, size :UInt32, sink :Sink) -> ();

  # Counts what is written.
  upload @2 () -> (sink :Sink);

  # Writes back what is written.
  chat @3 (back :Sink) -> (sink :Sink);
}

interface Sink {
  # Takes a payload.
  write @0 (payload :Data) -> stream;

  # There are no more: answers with how many were written, and how many bytes they have together.
  end @1 () -> (messages :UInt64, bytes :UInt64);
}
