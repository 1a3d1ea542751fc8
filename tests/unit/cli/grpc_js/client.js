// Every kind of call of the tests' service, by grpc-js: `node client.js ADDRESS AUTHORITY` prints what came, as JSON.
'use strict';
const grpc = require('@grpc/grpc-js');

const same = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/test.Service/${name}`, requestStream, responseStream,
  requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
});
const Service = grpc.makeGenericClientConstructor({
  unary: method('Unary', false, false),
  down: method('Down', false, true),
  up: method('Up', true, false),
  both: method('Both', true, true),
  wait: method('Wait', false, false),
  fail: method('Fail', false, false),
}, 'test.Service');

const [address, authority] = process.argv.slice(2);
const client = new Service(address, grpc.credentials.createInsecure(), {
  'grpc.default_authority': authority, 'grpc.enable_retries': 0,
});
const soon = () => ({deadline: Date.now() + 10000});

const told = (call) => new Promise((resolve) => call((error, answer) => resolve(
  error ? [error.code, error.details] : answer.toString())));

const collected = (stream) => new Promise((resolve, reject) => {
  const messages = [];
  stream.on('data', (message) => messages.push(message.toString()));
  stream.on('end', () => resolve(messages));
  stream.on('error', reject);
});

async function conversation() {
  // Each message is answered before the next is sent.
  const stream = client.both(soon());
  const messages = [];
  for (const word of ['one', 'two', 'three']) {
    const answer = new Promise((resolve) => stream.once('data', (message) => resolve(message.toString())));
    stream.write(Buffer.from(word));
    messages.push(await answer);
  }
  const over = new Promise((resolve) => stream.once('status', (status) => resolve(status.code)));
  stream.end();
  return [...messages, await over];
}

async function all() {
  const seen = {};
  const unary = () => told((done) => client.unary(Buffer.from('hi'), soon(), done));
  seen.unary = await Promise.all(Array.from({length: 30}, unary));
  seen.down = await collected(client.down(Buffer.from('100'), soon()));
  seen.up = await told((done) => {
    const call = client.up(soon(), done);
    for (let number = 0; number < 300; number++) call.write(Buffer.alloc(1000));
    call.end();
  });
  seen.both = await conversation();
  seen.fail = await told((done) => client.fail(Buffer.alloc(0), soon(), done));
  seen.late = await told((done) => client.wait(Buffer.alloc(0), {deadline: Date.now() + 500}, done));
  seen.cancelled = await told((done) => {
    const call = client.wait(Buffer.alloc(0), soon(), done);
    setTimeout(() => call.cancel(), 300);
  });
  client.close();
  return seen;
}

all().then((seen) => console.log(JSON.stringify(seen)), (error) => { console.error(error); process.exit(1); });
