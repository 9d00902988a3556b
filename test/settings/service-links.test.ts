import { expect, it } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { isServiceLink } from '../../src/settings/service-links.ts'
import { thrown } from '../support/thrown.ts'

/** Service links as a kubelet creates them. */
function links(prefix: string, ip: string, port: number, name: string, protocol = 'TCP'): Record<string, string> {
  const url = `${protocol.toLowerCase()}://${ip.includes(':') ? `[${ip}]` : ip}:${port}`
  return {
    [`${prefix}_SERVICE_HOST`]: ip,
    [`${prefix}_SERVICE_PORT`]: String(port),
    [`${prefix}_SERVICE_PORT_${name}`]: String(port),
    [`${prefix}_PORT`]: url,
    [`${prefix}_PORT_${port}_${protocol}`]: url,
    [`${prefix}_PORT_${port}_${protocol}_PROTO`]: protocol.toLowerCase(),
    [`${prefix}_PORT_${port}_${protocol}_PORT`]: String(port),
    [`${prefix}_PORT_${port}_${protocol}_ADDR`]: ip,
  }
}

it.each([
  links('PIKO', '10.0.171.239', 9464, 'HTTP'),
  links('PIKO_WEB', '10.0.0.1', 80, 'HTTP_METRICS'),
  links('PIKO_MYSQL', 'fd00::1234', 3306, 'DB'),
  links('PIKO_LOG_LEVEL', '10.0.0.1', 53, 'DNS', 'UDP'),
  links('PIKO_SERVICE', '10.0.0.1', 80, 'HTTP'),
  links('PIKO_2', '10.0.0.1', 132, 'X', 'SCTP'),
])('the links of a Kubernetes service are not settings: %o', (env) => {
  expect(loadSettings({ env, cwd: '/' }).settings.piko.name).toBe('piko')
})

it.each([
  ['PIKO_PORT', '9464'],
  ['PIKO_HTTP_PORT', '9464'],
  ['PIKO_PORT', 'http://10.0.0.1:80'],
  ['PIKO_PORT', 'tcp://example.com:80'],
  ['PIKO_PORT', 'tcp://10.0.0.1:99999'],
  ['PIKO_SERVICE_HOST', 'db.example.com'],
  ['PIKO_SERVICE_PORT', 'http'],
  ['PIKO_PORT_80_TCP', 'tcp://10.0.0.1:81'],
  ['PIKO_PORT_80_TCP', 'udp://10.0.0.1:80'],
  ['PIKO_PORT_80_TCP_PORT', '81'],
  ['PIKO_PORT_80_TCP_PROTO', 'udp'],
  ['PIKO_PORT_80_TCP_ADDR', ''],
  ['PIKO_SERVICE_HOSTS', '10.0.0.1'],
  ['PIKO_MYSQL_DSN', 'tcp://10.0.0.1:80'],
])('%s=%s is not a link', (name, value) => {
  expect(isServiceLink(name, value)).toBe(false)
})

it('a name that only looks like a link is still refused, with a suggestion', () => {
  const error = thrown(() =>
    loadSettings({ env: { ...links('PIKO', '10.0.0.1', 80, 'A'), PIKO_HTTP_PORT: '80' }, cwd: '/' }),
  )
  expect(error.message).toMatch(/1 problem:\n {2}PIKO_HTTP_PORT .+did you mean PIKO_HTTP__PORT\?/)
})
