// Checks the server with @clickhouse/client. Prints one line per check and fails when one of them does.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'

const common = {
  url: process.env.CLICKHOUSE_URL,
  username: process.env.CLICKHOUSE_USER,
  password: process.env.CLICKHOUSE_PASSWORD,
  database: process.env.CLICKHOUSE_DATABASE,
  log: { level: ClickHouseLogLevel.OFF },
}
let failed = 0

async function check(name, run) {
  try {
    await run()
    console.log(`ok ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}: ${error.stack ?? error}`)
  }
}

async function rejectsWithCode(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code)
    return true
  })
}

async function checkClient(label, compression) {
  const client = createClient({ ...common, compression })
  const table = `node_${label}`
  await check(`${label} ping`, async () => assert.equal((await client.ping()).success, true))
  await check(`${label} create`, () =>
    client.command({ query: `CREATE TABLE ${table} (id UInt64, name String, tags Array(String)) ENGINE = MergeTree ORDER BY id` }),
  )
  await check(`${label} insert rows`, async () => {
    const values = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `n${id}`, tags: ['a', `${id}`] }))
    const result = await client.insert({ table, values, format: 'JSONEachRow' })
    assert.equal(result.summary.written_rows, '10000')
  })
  await check(`${label} insert stream`, async () => {
    async function* rows() {
      for (let id = 10_000; id < 60_000; id++) yield [id, `n${id}`, []]
    }
    await client.insert({ table, values: Readable.from(rows(), { objectMode: true }), format: 'JSONCompactEachRow' })
  })
  await check(`${label} select JSON`, async () => {
    const result = await client.query({ query: `SELECT count() AS rows, sum(id) AS total FROM ${table}`, format: 'JSON' })
    const answer = await result.json()
    assert.deepEqual(answer.data, [{ rows: 60_000, total: 1_799_970_000 }])
    assert.equal(answer.rows, 1)
  })
  await check(`${label} select nothing`, async () => {
    const result = await client.query({ query: `SELECT * FROM ${table} WHERE id > 1000000`, format: 'JSON' })
    assert.deepEqual((await result.json()).data, [])
  })
  await check(`${label} stream`, async () => {
    const result = await client.query({ query: `SELECT id, name FROM ${table}`, format: 'JSONEachRow' })
    let rows = 0
    for await (const batch of result.stream()) {
      for (const row of batch) {
        const { id, name } = row.json()
        assert.equal(name, `n${id}`)
        rows++
      }
    }
    assert.equal(rows, 60_000)
  })
  await check(`${label} parameters`, async () => {
    const result = await client.query({
      query: 'SELECT {text:String} AS text, {list:Array(UInt8)} AS list, {none:Nullable(String)} AS none, {at:DateTime64(3)} AS at',
      query_params: { text: "it's\ta tab\n", list: [1, 2], none: null, at: new Date('2024-02-29T12:00:00.123Z') },
      format: 'JSONEachRow',
    })
    assert.deepEqual(await result.json(), [
      { text: "it's\ta tab\n", list: [1, 2], none: null, at: '2024-02-29 12:00:00.123' },
    ])
  })
  await check(`${label} exec`, async () => {
    const { stream } = await client.exec({ query: 'SELECT 1, 2 FORMAT CSV' })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    assert.equal(Buffer.concat(chunks).toString(), '1,2\n')
  })
  await check(`${label} unknown table`, () =>
    rejectsWithCode(client.query({ query: 'SELECT * FROM missing', format: 'JSON' }), '60'),
  )
  await check(`${label} bad row`, () =>
    rejectsWithCode(client.insert({ table, values: [{ id: 'x' }], format: 'JSONEachRow' }), '27'),
  )
  await check(`${label} late error`, async () => {
    await assert.rejects(async () => {
      const result = await client.query({
        query: "SELECT number, throwIf(number = 900000, 'too far') AS t FROM numbers(1000000)",
        format: 'JSONEachRow',
      })
      for await (const batch of result.stream()) batch.length
      // The client may notice the broken connection before it has unpacked the message.
    }, compression.response ? /too far|aborted/ : /too far/)
  })
  await client.close()
}

await checkClient('plain', { response: false, request: false })
await checkClient('gzip', { response: true, request: true })

await check('session', async () => {
  const client = createClient({ ...common, session_id: 'node-session' })
  await client.command({ query: 'CREATE TEMPORARY TABLE kept (a UInt8)' })
  await client.insert({ table: 'kept', values: [{ a: 1 }, { a: 2 }], format: 'JSONEachRow' })
  const result = await client.query({ query: 'SELECT sum(a) AS total FROM kept', format: 'JSONEachRow' })
  assert.deepEqual(await result.json(), [{ total: 3 }])
  await client.close()
})
await check('settings', async () => {
  const client = createClient({ ...common, clickhouse_settings: { max_block_size: '17' } })
  const result = await client.query({ query: "SELECT getSetting('max_block_size') AS v", format: 'JSONEachRow' })
  assert.deepEqual(await result.json(), [{ v: 17 }])
  await client.close()
})
await check('abort', async () => {
  const client = createClient(common)
  const controller = new AbortController()
  const running = client.query({
    query: 'SELECT count() FROM system.numbers WHERE NOT ignore(number)',
    abort_signal: controller.signal,
    format: 'JSON',
  })
  setTimeout(() => controller.abort(), 200)
  await assert.rejects(running, /abort/i)
  await client.close()
})
await check('wrong password', async () => {
  const client = createClient({ ...common, password: 'wrong' })
  await rejectsWithCode(client.query({ query: 'SELECT 1', format: 'JSON' }), '516')
  await client.close()
})
process.exit(failed ? 1 : 0)
