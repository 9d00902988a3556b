import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, installPackage } from './mysql-server.ts'

const HOW_TO = 'The tests of TLS need the program openssl: put it on the PATH, or run them as root on Debian or Ubuntu.'

/** A certificate authority for tests, and what it signs. */
export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), 'piko-tls-'))
  readonly #openssl: string

  static async create(): Promise<Certificates> {
    if (!findProgram('openssl')) await installPackage('openssl', HOW_TO)
    return new Certificates(findProgram('openssl') ?? 'openssl')
  }

  private constructor(openssl: string) {
    this.#openssl = openssl
    for (const name of ['authority', 'stranger']) {
      const names = ['-subj', `/CN=${name}`, '-keyout', this.file(`${name}.key`), '-out', this.file(`${name}.pem`)]
      this.#run(['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', ...names])
    }
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  /** Writes `server.pem` and `server.key` for these names, such as `DNS:localhost`. */
  sign(names: string, { authority = 'authority', days = 3650 } = {}): void {
    const [request, extensions] = [this.file('server.csr'), this.file('server.ext')]
    writeFileSync(extensions, `subjectAltName=${names}\n`)
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', this.file('server.key')]
    this.#run(['req', '-new', ...key, '-subj', '/CN=server', '-out', request])
    const signer = ['-CA', this.file(`${authority}.pem`), '-CAkey', this.file(`${authority}.key`), '-CAcreateserial']
    const result = ['-days', String(days), '-extfile', extensions, '-out', this.file('server.pem')]
    this.#run(['x509', '-req', '-in', request, ...signer, ...result])
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #run(args: readonly string[]): void {
    execFileSync(this.#openssl, args, { stdio: 'pipe' })
  }
}
