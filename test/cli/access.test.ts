import { expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

it('piko tokens creates, lists and revokes tokens, and piko audit shows who did that and why', async () => {
  const project = new Project({ 'jobs.mjs': '' })
  const created = await project.piko([
    'tokens',
    'create',
    'grafana',
    '--role',
    'viewer',
    '--for-jobs',
    'shop_*',
    '--json',
  ])
  expect(created.code).toBe(0)
  const { token } = JSON.parse(created.stdout) as { token: { token: string } }
  expect(token).toMatchObject({ id: 1, name: 'grafana', role: 'viewer', jobs: ['shop_*'], isValid: true })
  expect(token.token).toMatch(/^piko_[\w-]{43}$/)
  const twice = await project.piko(['tokens', 'create', 'grafana', '--role', 'viewer', '--json'])
  expect([twice.code, errorOf(twice).code]).toEqual([2, 'TOKEN_EXISTS'])
  expect((await project.piko(['tokens', 'list'])).stdout).toMatch(/^1 +grafana +viewer +shop_\* +valid +- +- +\S+$/m)
  const revoked = await project.piko(['tokens', 'revoke', 'grafana', '--reason', 'laptop lost'])
  expect(revoked.stdout).toBe('token grafana is revoked\n')
  const audit = await project.piko(['audit', 'list', '--json'])
  expect(audit.stdout).not.toContain(token.token)
  const name = expect.stringMatching(/^.+@.+$/) as string
  expect(JSON.parse(audit.stdout)).toMatchObject({
    audit: [
      {
        ...{ verb: 'tokens.revoke', actor: { kind: 'cli', name }, reason: 'laptop lost', target: 'token grafana' },
        ...{ before: { isValid: true }, after: { isValid: false }, outcome: 'done' },
      },
      { verb: 'tokens.create', actor: { kind: 'cli', name }, before: null, after: { name: 'grafana', role: 'viewer' } },
    ],
  })
  expect((await project.piko(['audit', 'list'])).stdout).toMatch(
    /^\d+ +\S+ +\S+@\S+ \(cli\) +tokens\.revoke +- +token grafana +done +laptop lost$/m,
  )
})
