# What nauty's configure would find out about wasm32-wasi (32-bit ints, longs and pointers; no processes, signals or pipes).
s/@PACKAGE_VERSION@/2.8.6/
s/@configure_input@/For wasm32-wasi./
s/@edit_msg@/made from a template/
s/@ac_cv_sizeof_int@/4/
s/^#define SIZEOF_LONG_LONG @.*@/#define SIZEOF_LONG_LONG 8/
s/@ac_cv_sizeof_long@/4/
s/@ac_cv_sizeof_voidp@/4/
s/@ac_cv_sizeof___int128_t@/0/
s/@ac_cv_sizeof___int128@/0/
s/@ac_cv_sys_file_offset_bits@/64/
s/@default_wordsize@/32/
s/@tls_supported@/0/
s/@use_tls@//
s/@ac_cv_tls@//
s/@sort_prog@/sort/
s/@flex_array_ok@/1/
s/@has_math_inf@/1/
# No function of these at hand, or none that a unit could use.
s/@have_\(ansicontrols\|flockfile\|fork\|getrusage\|gunzip\|hwlzcnt\|hwpopcnt\|mmpop32\|mmpop64\|pid_t\|pipe\|popen\|sigaction\|sigprocmask\|times\|wait\|clock\)@/0/
s/@header_\(signal_h\|sys_wait_h\)@/0/
s/@\(allow_interrupt\|is_ARM64\|runtime_popcnt\|popen_dec\|stdio_nolock\)@/0/
# Everything else is there.
s/@\(have\|header\)_[A-Za-z0-9_]*@/1/
s/@[a-z_]*_dec@/1/
s/@[a-z_]*_ok@/1/
