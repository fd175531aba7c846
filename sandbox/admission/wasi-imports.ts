import { type FunctionType, VALUE_TYPE } from './types.js'

/** Module name of the functions of WASI preview 1. */
export const WASI_MODULE = 'wasi_snapshot_preview1'

/**
 * Everything that a program may import, with its type: a letter for each parameter (`i` for i32, `I` for i64). All but
 * `proc_exit` give an i32, the error number. Source: the WASI preview 1 witx files.
 */
export const WASI_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ['args_get', 'ii'],
  ['args_sizes_get', 'ii'],
  ['environ_get', 'ii'],
  ['environ_sizes_get', 'ii'],
  ['clock_res_get', 'ii'],
  ['clock_time_get', 'iIi'],
  ['fd_advise', 'iIIi'],
  ['fd_allocate', 'iII'],
  ['fd_close', 'i'],
  ['fd_datasync', 'i'],
  ['fd_fdstat_get', 'ii'],
  ['fd_fdstat_set_flags', 'ii'],
  ['fd_fdstat_set_rights', 'iII'],
  ['fd_filestat_get', 'ii'],
  ['fd_filestat_set_size', 'iI'],
  ['fd_filestat_set_times', 'iIIi'],
  ['fd_pread', 'iiiIi'],
  ['fd_prestat_get', 'ii'],
  ['fd_prestat_dir_name', 'iii'],
  ['fd_pwrite', 'iiiIi'],
  ['fd_read', 'iiii'],
  ['fd_readdir', 'iiiIi'],
  ['fd_renumber', 'ii'],
  ['fd_seek', 'iIii'],
  ['fd_sync', 'i'],
  ['fd_tell', 'ii'],
  ['fd_write', 'iiii'],
  ['path_create_directory', 'iii'],
  ['path_filestat_get', 'iiiii'],
  ['path_filestat_set_times', 'iiiiIIi'],
  ['path_link', 'iiiiiii'],
  ['path_open', 'iiiiiIIii'],
  ['path_readlink', 'iiiiii'],
  ['path_remove_directory', 'iii'],
  ['path_rename', 'iiiiii'],
  ['path_symlink', 'iiiii'],
  ['path_unlink_file', 'iii'],
  ['poll_oneoff', 'iiii'],
  ['proc_exit', 'i'],
  ['proc_raise', 'i'],
  ['random_get', 'ii'],
  ['sched_yield', ''],
  ['sock_accept', 'iii'],
  ['sock_recv', 'iiiiii'],
  ['sock_send', 'iiiii'],
  ['sock_shutdown', 'ii'],
])

/** Whether `type` is that of the WASI function whose parameters are `parameters`. */
export function hasWasiType(name: string, parameters: string, { params, results }: FunctionType): boolean {
  const resultCount = name === 'proc_exit' ? 0 : 1
  if (params.length !== parameters.length || results.length !== resultCount) return false
  if (resultCount === 1 && results[0] !== VALUE_TYPE.i32) return false
  return params.every((type, index) => type === (parameters[index] === 'i' ? VALUE_TYPE.i32 : VALUE_TYPE.i64))
}
