import { check } from '../check.ts'

/** Finds folders and files in the settings that this process can't use. A node would notice this only when it needs them. */
export const paths = check({
  id: 'paths',
  needs: ['paths'],
  find: ({ paths: facts }) =>
    facts.map(({ key, origin, use, path, at, problem }) => ({
      id: 'paths',
      severity: 'warning',
      found: `[${key.replace('.', '] ')} = ${path} (${origin}) is not a ${use}: ${problem}`,
      remedy:
        use === 'readable file'
          ? `create ${path}, or chown $(id -u) ${path}; chmod u+r ${path}`
          : problem.includes('is not a folder')
            ? `name another folder: ${lineOf(key)}`
            : `chown $(id -u) ${at}; chmod u+wx ${at}; or name another folder: ${lineOf(key)}`,
    })),
})

function lineOf(key: string): string {
  const [section = '', name = ''] = key.split('.')
  return `[${section}]\n${name} = "/var/lib/piko/${name}"`
}
