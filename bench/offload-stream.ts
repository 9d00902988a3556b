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

const SCRIPTS = ['offload-stream-system', 'bare-stream-worker', 'parse-rows']
const COMPILED = new URL('../dist/bench/', import.meta.url)

/**
 * Large files parsed in a thread, as a stream of rows: `offload` beside a bare worker thread with messages written by hand, and a run that
 * writes the rows into a table. Each measurement is a process of its own. The files are generated and removed.
 */
export async function offloadStream(argv: readonly string[]): Promise<void> {
  if (!existsSync(new URL('../dist/index.js', import.meta.url))) throw new Error('run npm run build first')
  await compile()
  const { values } = parseArgs({
    args: [...argv],
    options: { mb: { type: 'string', default: '1000' }, repeat: { type: 'string', default: '1' } },
  })
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-stream-'))
  try {
    const ndjson = join(folder, 'orders.ndjson')
    const csv = join(folder, 'orders.csv.gz')
    await generate(ndjson, 'ndjson', Number(values.mb) * 1e6)
    await generate(csv, 'csv', Number(values.mb) * 1e6)
    for (let round = 0; round < Number(values.repeat); round++)
      for (const [path, format] of [
        [ndjson, 'ndjson'],
        [csv, 'csv'],
      ] as const) {
        console.log(JSON.stringify({ file: format, bytes: statSync(path).size }))
        for (const system of ['bare', 'counted', 'batched', 'stored']) await measure(system, path, format)
      }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The loaders of TypeScript would count as memory of the measured processes. */
async function compile(): Promise<void> {
  await build({
    entryPoints: SCRIPTS.map((name) => fileURLToPath(new URL(`offload/${name}.ts`, import.meta.url))),
    outdir: fileURLToPath(COMPILED),
    outExtension: { '.js': '.mjs' },
    ...{ bundle: true, packages: 'external', format: 'esm', target: 'node22', logLevel: 'error' },
  })
}

async function measure(system: string, path: string, format: string): Promise<void> {
  const script = fileURLToPath(new URL('offload-stream-system.mjs', COMPILED))
  const flags = ['--disable-warning=ExperimentalWarning']
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, system, path, format], {
    env: { PATH: process.env['PATH'] },
  })
  process.stdout.write(stdout)
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
