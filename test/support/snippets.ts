import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PATIENCE_MS } from './patience.ts'
import { BUILT_FLAGS, DECORATOR_FLAGS } from './source-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const execute = promisify(execFile)

/** The TypeScript blocks of a page as separate files, each named by the line above it. */
export class Snippets {
  readonly names: readonly string[]
  readonly files: readonly string[]
  readonly #folder: string
  readonly #flags: readonly string[]

  /** @param page path from the root of the repository, such as `docs/jobs.md` */
  constructor(page: string) {
    const blocks = readFileSync(join(root, page), 'utf8').matchAll(
      /(?:`([\w/.-]+\.ts)`:\n\n)?^```ts\n([\s\S]*?)^```$/gm,
    )
    const snippets = [...blocks].map(([, name = 'unnamed.ts', code = '']) => ({ name, code }))
    // Inside the repository and outside of node_modules, so that 'piko' means this package.
    mkdirSync(join(root, '.piko'), { recursive: true })
    this.#folder = mkdtempSync(join(root, '.piko/snippets-'))
    // Node runs all of TypeScript but decorators, and starts in half the time without the loader for them.
    this.#flags = snippets.some(({ code }) => /^ *@\w/m.test(code)) ? DECORATOR_FLAGS : BUILT_FLAGS
    this.names = snippets.map(({ name }) => name)
    this.files = snippets.map(({ name, code }) => {
      const file = join(this.#folder, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, code)
      return file
    })
  }

  /** Runs a file in the folder of the snippets as `npx tsx` does, faster. Rejects unless it exits with 0. */
  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await execute(process.execPath, [...this.#flags, ...args], {
      cwd: this.#folder,
      env: { ...process.env, PIKO_LOG_LEVEL: 'warn' },
      timeout: PATIENCE_MS,
    })
    return stdout
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
