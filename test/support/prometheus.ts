import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { findProgram, freePort, installPackage, isRunning } from './mysql-server.ts'
import { PATIENCE_MS } from './patience.ts'

const START_DEADLINE_MS = PATIENCE_MS

const HOW_TO = `The test needs Prometheus with promtool. Do one of these:
  1. put prometheus and promtool on the PATH: a private server is then started and removed by the test;
  2. run the tests as root on Debian or Ubuntu: prometheus is then installed with apt-get.`

async function programOf(name: 'prometheus' | 'promtool'): Promise<string> {
  if (!findProgram(name)) await installPackage('prometheus', HOW_TO)
  const program = findProgram(name)
  if (!program) throw new Error(HOW_TO)
  return program
}

/** Runs promtool. @returns what it printed @throws with what it printed, if it finds a fault */
export async function promtool(args: readonly string[], input = ''): Promise<string> {
  const running = promisify(execFile)(await programOf('promtool'), [...args], { maxBuffer: 10_000_000 })
  running.child.stdin?.end(input)
  const { stdout, stderr } = await running
  return `${stdout}${stderr}`
}

export interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

/** A private Prometheus on a free loopback port that scrapes each second. */
export class Prometheus {
  readonly #folder = mkdtempSync(join(tmpdir(), 'piko-prometheus-'))
  readonly #port: number
  readonly #child: ChildProcess
  #output = ''

  /** @param rules the text of a file with rules */
  static async start(targets: readonly string[], rules: string): Promise<Prometheus> {
    const server = new Prometheus(await programOf('prometheus'), await freePort(), targets, rules)
    await server.#answers()
    return server
  }

  private constructor(program: string, port: number, targets: readonly string[], rules: string) {
    this.#port = port
    writeFileSync(join(this.#folder, 'rules.yml'), rules)
    writeFileSync(
      join(this.#folder, 'prometheus.yml'),
      JSON.stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: ['rules.yml'],
        scrape_configs: [{ job_name: 'piko', static_configs: [{ targets }] }],
      }),
    )
    const options = [
      `--config.file=${join(this.#folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(this.#folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]
    this.#child = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    process.once('exit', () => this.#child.kill('SIGKILL'))
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + START_DEADLINE_MS
    while (
      !(await this.#get('/-/ready').then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (!isRunning(this.#child) || Date.now() > deadline)
        throw new Error(`prometheus did not start:\n${this.#output}`)
      await sleep(50)
    }
  }

  #get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#port}${path}`)
  }

  /** The alerts that fire, as `PikoDataLate daily`. */
  async firing(): Promise<string[]> {
    const { data } = (await (await this.#get('/api/v1/alerts')).json()) as { data: { alerts: FiringAlert[] } }
    return data.alerts
      .filter(({ state }) => state === 'firing')
      .map(({ labels }) => [labels['alertname'], labels['job_id']].filter((text) => text !== undefined).join(' '))
      .toSorted()
  }

  /** The values of an expression. */
  async query(expression: string): Promise<number[]> {
    const answer = await this.#get(`/api/v1/query?query=${encodeURIComponent(expression)}`)
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
    return data.result.map(({ value }) => Number(value[1]))
  }

  async stop(): Promise<void> {
    if (isRunning(this.#child)) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
