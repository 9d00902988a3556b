import { execFile } from 'node:child_process'
import { createWriteStream, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGzip } from 'node:zlib'
import { parseArgs, promisify } from 'node:util'
import { build } from 'esbuild'
import { Servers } from './harness/servers.ts'

const SCRIPTS = ['offload-stream-system', 'bare-stream-worker', 'parse-rows']
const TARGETS = ['count', 'lists', 'jsonl', 'sqlite', 'mysql'] as const
const COMPILED = new URL('../dist/bench/', import.meta.url)

type Target = (typeof TARGETS)[number]

interface File {
  readonly format: 'ndjson' | 'csv'
  readonly path: string
}

/**
 * Large files parsed in a thread, as a stream of rows, through `offload` and through a bare worker thread with messages written by hand.
 * The rows are counted one by one or in the lists in which they come, or go one by one through a sink: to a file of JSON lines, a table of
 * the process's SQLite file, a table of MariaDB. Finally, `piko runs cancel` ends a run. Each measurement runs in its own process. The
 * files are generated and removed.
 */
export async function offloadStream(argv: readonly string[]): Promise<void> {
  if (!existsSync(new URL('../dist/index.js', import.meta.url))) throw new Error('run npm run build first')
  await compile()
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '1000' },
      repeat: { type: 'string', default: '1' },
      targets: { type: 'string', default: TARGETS.join() },
      systems: { type: 'string', default: 'bare,piko' },
      formats: { type: 'string', default: 'ndjson,csv' },
    },
  })
  const targets = TARGETS.filter((target) => values.targets.split(',').includes(target))
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-stream-'))
  await using servers = new Servers()
  try {
    const files: File[] = [
      { format: 'ndjson', path: join(folder, 'orders.ndjson') } as const,
      { format: 'csv', path: join(folder, 'orders.csv.gz') } as const,
    ].filter(({ format }) => values.formats.split(',').includes(format))
    for (const { path, format } of files) {
      await generate(path, format, Number(values.size) * 1e6)
      console.log(JSON.stringify({ format, bytes: statSync(path).size }))
    }
    for (let round = 0; round < Number(values.repeat); round++) {
      for (const target of targets) {
        for (const file of files)
          for (const system of values.systems.split(',')) await measure(system, target, file, folder, servers)
        if (target !== 'count' && target !== 'lists' && files[0])
          await measure('piko', target, files[0], folder, servers, 'cancel')
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Compiles the scripts, because a loader of TypeScript would count as memory of the measured processes. */
async function compile(): Promise<void> {
  await build({
    entryPoints: SCRIPTS.map((name) => fileURLToPath(new URL(`offload/${name}.ts`, import.meta.url))),
    outdir: fileURLToPath(COMPILED),
    outExtension: { '.js': '.mjs' },
    ...{ bundle: true, packages: 'external', format: 'esm', target: 'node22', logLevel: 'error' },
  })
}

async function measure(
  system: string,
  target: Target,
  { path, format }: File,
  folder: string,
  servers: Servers,
  ...cancel: readonly string[]
): Promise<void> {
  const script = fileURLToPath(new URL('offload-stream-system.mjs', COMPILED))
  const own = mkdtempSync(join(folder, 'store-'))
  const store = target === 'mysql' ? await (await servers.get('mysql')).dsn() : own
  const flags = ['--disable-warning=ExperimentalWarning']
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flags, script, system, target, path, format, store, ...cancel],
    { env: { PATH: process.env['PATH'], SMALL_HEAP: process.env['SMALL_HEAP'] } },
  )
  process.stdout.write(stdout)
  rmSync(own, { recursive: true })
}

/** Writes rows until the file has this many bytes, before compression. */
async function generate(path: string, format: 'ndjson' | 'csv', bytes: number): Promise<void> {
  const out = createWriteStream(path)
  const chunks = Readable.from(texts(format, bytes))
  if (path.endsWith('.gz')) await pipeline(chunks, createGzip({ level: 1 }), out)
  else await pipeline(chunks, out)
}

function* texts(format: 'ndjson' | 'csv', bytes: number): Generator<string, void, undefined> {
  let id = 0
  for (let written = 0; written < bytes;) {
    let text = ''
    for (let row = 0; row < 500; row++) text += line(format, id++)
    written += text.length
    yield text
  }
}

function line(format: 'ndjson' | 'csv', id: number): string {
  const row = {
    id,
    shop: `shop-${id % 97}`,
    at: new Date(1_700_000_000_000 + id * 1_000).toISOString(),
    product: `product ${(id * 7_919) % 10_007}`,
    amount: ((id * 31) % 100_000) / 100,
    note: 'delivered to the neighbour on the second floor because nobody answered the bell',
  }
  return format === 'ndjson' ? `${JSON.stringify(row)}\n` : `${Object.values(row).join(',')}\n`
}
