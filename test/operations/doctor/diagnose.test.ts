import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PikoError } from '../../../src/errors.ts'
import { check } from '../../../src/operations/doctor/check.ts'
import { diagnose } from '../../../src/operations/doctor/diagnose.ts'
import { examine } from '../../../src/operations/doctor/gatherers.ts'
import type { Facts } from '../../../src/operations/doctor/facts.ts'
import type { SettingsOverrides } from '../../../src/settings/settings.ts'

const finding = { id: 'a', severity: 'warning', found: 'f', remedy: 'r' } as const
const server: Facts['server'] = {
  ...{ store: 'sqlite', version: '3', isMariadb: false, location: 'x', zoneOffsetS: 0 },
  ...{ global: {}, session: {}, status: {} },
}
const clock: Facts['clock'] = { aheadMs: 0, withinMs: 1, latencyMs: 1 }

describe('diagnose', () => {
  it('turns a fact that fails, one that hangs and a check that throws into findings, and applies all other checks', async () => {
    const checks = [
      check({ id: 'throws', needs: ['server'], find: () => JSON.parse('{') as [] }),
      check({ id: 'hangs', needs: ['clock'], find: () => [] }),
      check({ id: 'fails', needs: ['rights'], find: () => [] }),
      check({ id: 'works', needs: ['server'], find: () => [finding] }),
      check({ id: 'passes', needs: ['server', 'ping'], find: () => [] }),
      check({ id: 'unknown', needs: ['broken'], find: () => [] }),
    ]
    const report = await diagnose(
      {
        ping: () => 1,
        server: () => server,
        clock: () => new Promise<Facts['clock']>(() => {}),
        rights: () => Promise.reject(new PikoError('DATABASE_DENIED', 'SHOW GRANTS was refused; grant it: GRANT x')),
      },
      { checks, limitMs: 20 },
    )

    expect(report.checks.map(({ id, state }) => `${id} ${state}`)).toEqual([
      ...['throws failed', 'hangs failed', 'fails failed', 'works found', 'passes passed', 'unknown skipped'],
    ])
    expect(report.findings.map(({ id }) => id)).toEqual(['throws.failed', 'hangs.failed', 'fails.failed', 'a'])
    expect(report.findings[1]?.found).toContain('no answer within 0.02 s')
    expect(report.findings[2]).toMatchObject({
      found: 'the check "fails" could not run: SHOW GRANTS was refused',
      remedy: 'grant it: GRANT x',
    })
    expect(report.isHealthy).toBe(false)
  })

  it('has one finding for a database that is away, and does not ask it again', async () => {
    const asked: string[] = []
    const report = await diagnose({
      ping: () =>
        Promise.reject(new PikoError('DATABASE_UNREACHABLE', 'cannot open db: refused; check that the server runs')),
      server: () => {
        asked.push('server')
        return server
      },
      clock: () => clock,
    })
    expect(report.findings).toEqual([
      {
        id: 'connectivity.failed',
        severity: 'error',
        found: 'the database does not answer: cannot open db: refused',
        remedy: 'check that the server runs',
      },
    ])
    expect(asked).toEqual([])
  })

  it('names what to change for each setting that is wrong', async () => {
    const env = { PIKO_HTTP__PROT: '1', PIKO_HTTP__PORT: 'x' }
    const { findings } = await examine({ env })
    expect(findings.map(({ remedy }) => remedy).sort()).toEqual([
      'correct or unset the variable: unset PIKO_HTTP__PORT',
      'correct or unset the variable: unset PIKO_HTTP__PROT',
    ])
  })

  it('names the folders and files of the settings that this process can not use', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-paths-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const look = async (overrides: SettingsOverrides) =>
      (await examine({ env: {}, overrides: { ...overrides, sqlite: { path: join(folder, 'none.db') } } })).findings
        .filter(({ id }) => id === 'paths')
        .map(({ severity, found, remedy }) => `${severity} ${found} → ${remedy}`)
    expect(
      await look({
        sinks: { spill_dir: join(file, 'spill') },
        items: { bodies: file },
        http: { tokens_file: join(folder, 'none') },
      }),
    ).toEqual([
      expect.stringMatching(
        /^warning \[sinks\] spill_dir = .*\/file\/spill \(override\) is not a writable folder: .*file is not a folder → name another folder: \[sinks\]\nspill_dir = "/,
      ),
      expect.stringMatching(/^warning \[items\] bodies = .*\/file \(override\) is not a writable folder/),
      expect.stringMatching(/^warning \[http\] tokens_file = .*ENOENT.* → create .*none, or chown/),
    ])
    expect(
      await look({
        sinks: { spill_dir: join(folder, 'new/spill') },
        items: { bodies: folder },
        http: { tokens_file: file },
      }),
    ).toEqual([])
    expect(await look({})).toEqual([])
  })

  it('is healthy with nothing but notices, and lists errors first', async () => {
    const notice = { ...finding, severity: 'info' } as const
    const one = check({ id: 'one', needs: ['server'], find: () => [notice] })
    expect(await diagnose({ server: () => server }, { checks: [one] })).toMatchObject({ isHealthy: true })
    const more = check({ id: 'more', needs: ['server'], find: () => [finding, { ...finding, severity: 'error' }] })
    const { findings } = await diagnose({ server: () => server }, { checks: [one, more] })
    expect(findings.map(({ severity }) => severity)).toEqual(['error', 'warning', 'info'])
  })
})
