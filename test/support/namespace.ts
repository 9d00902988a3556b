import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { cleanEnv } from './source-process.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NOBODY = 65_534

/** Where the project and Piko are inside. */
const APP = '/mnt/app'
const PIKO = '/mnt/piko'

/**
 * Runs a command as a container does, but without an image: as the first process of a PID namespace, as an unprivileged user, on a root that
 * is read-only except for `/tmp` and `/app/.piko`.
 */
export class Contained {
  readonly #child: ChildProcess
  output = ''
  hasEnded = false
  readonly ended: Promise<number | null>

  /** @param project a folder, whose `node_modules/piko` becomes this repository */
  constructor(project: string, command: string, env: Readonly<Record<string, string>> = {}) {
    const isRoot = process.getuid?.() === 0
    const node = process.execPath.startsWith(ROOT)
      ? join(PIKO, relative(ROOT, process.execPath), '..')
      : join(process.execPath, '..')
    const script = `set -e
      mount --make-rprivate /
      mount -t tmpfs tmpfs /mnt
      mkdir -p ${APP} ${PIKO}
      mount --rbind '${project}' ${APP}
      mount --rbind '${ROOT}' ${PIKO}
      mount -t tmpfs -o mode=1777 tmpfs ${APP}/.piko
      mount -t tmpfs -o mode=1777 tmpfs /tmp
      for place in / /mnt ${APP} ${PIKO}; do mount -o remount,bind,ro $place; done
      cd ${APP}
      exec ${isRoot ? `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --inh-caps=-all --bounding-set=-all` : ''} ${command}`
    const flags = [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      ...(isRoot ? [] : ['--user', '--map-root-user']),
    ]
    this.#child = spawn('unshare', [...flags, 'sh', '-c', script], {
      env: {
        ...cleanEnv(),
        HOME: '/tmp',
        PATH: `${node}:${process.env['PATH'] ?? ''}`,
        npm_config_cache: '/tmp/npm',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('close', (code) => {
        this.hasEnded = true
        resolve(code)
      })
      this.#child.once('error', (cause) =>
        reject(new Error('unshare is missing; install util-linux, which this test needs', { cause })),
      )
    })
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  /** Sends a signal to the first process inside, as a container runtime does. */
  kill(signal: 'SIGTERM' | 'SIGINT'): void {
    const { pid } = this.#child
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    process.kill(Number(first), signal)
  }
}
