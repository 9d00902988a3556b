import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Command } from 'commander'
import { say } from '../../say.ts'
import { visibleLine } from '../../visible.ts'
import { jobsOption } from '../cli-jobs.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { endWithNpm } from './end-with-parent.ts'
import { SourceWatch } from './source-watch.ts'
import { stopSignals } from './stop-signals.ts'

interface DevOptions {
  readonly http: boolean
  readonly database: boolean
  readonly jobs?: string[]
}

export function addDev(program: Command): void {
  program
    .command('dev')
    .summary('run the jobs while you write them, and start again after each change')
    .description(
      'Plans and runs the jobs of this folder like piko start, and starts again when a file of the project changes: ' +
        'TypeScript, JavaScript, SQL or TOML. Uses the embedded SQLite file, even if the settings name a database. ' +
        'Logs readable lines. After an error it waits for the next change.',
    )
    .addOption(jobsOption())
    .option('--database', 'use the database of the settings, instead of the embedded file')
    .option('--no-http', 'do not start the HTTP server')
    .addHelpText('after', examples(['piko dev', "piko dev --jobs 'pipelines/**/*.ts'", 'piko dev --database']))
    .action((options: DevOptions, command: Command) => dev(options, globalOptions(command)))
}

async function dev(options: DevOptions, globals: GlobalOptions): Promise<void> {
  endWithNpm()
  const signals = stopSignals()
  const changes = new Changes()
  const watch = new SourceWatch(process.cwd(), (file) => changes.add(file))
  try {
    for (let isStopped = false; !isStopped;) {
      const child = startProcess(options, globals)
      const ended = once(child, 'exit').then(([code]) => ({ code: code as number | null }))
      const first = await Promise.race([signals.first, changes.next, ended])
      if (typeof first === 'object') {
        say(`piko dev: the process ended with code ${first.code}; it starts again when a file changes`)
        isStopped = isSignal(await Promise.race([signals.first, changes.next]))
      } else {
        isStopped = isSignal(first)
        if (!isStopped) say(`piko dev: ${visibleLine(first)} changed; starting again`)
        child.kill('SIGTERM')
        await ended
      }
      changes.forget()
    }
  } finally {
    watch.close()
    signals.release()
  }
}

const isSignal = (text: string): boolean => /^SIG[A-Z]+$/.test(text)

/** Starts `piko start` in a new process, so that no old code stays in memory. */
function startProcess({ http, database, jobs }: DevOptions, { json, settings }: GlobalOptions): ChildProcess {
  const args = [
    ...['start', '--dev', database ? 'database' : 'embedded'],
    ...(http ? [] : ['--no-http']),
    ...(json ? ['--json'] : []),
    ...(settings === undefined ? [] : ['--settings', settings]),
    ...(jobs === undefined ? [] : ['--jobs', ...jobs]),
  ]
  // The new process is not in the terminal's process group. Otherwise Ctrl-C would reach it in addition to the signal that this process
  // sends. The new process ends when this process ends.
  return spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
}

/** Tells which file has changed first. */
class Changes {
  #next = Promise.withResolvers<string>()

  /** Resolves with the first file that has changed since the last `forget`. */
  get next(): Promise<string> {
    return this.#next.promise
  }

  add(file: string): void {
    this.#next.resolve(file)
  }

  forget(): void {
    this.#next = Promise.withResolvers()
  }
}
