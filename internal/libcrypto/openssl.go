//go:build libcrypto && linux && (amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is OpenSSL 3. Its name promises that the functions below stay as they are.
const library = "libcrypto.so.3"

// pkcs1Padding is RSA_PKCS1_PADDING.
const pkcs1Padding = 1

// functions are the addresses of what is called.
type functions struct {
	major, minor, patch                                      uintptr
	readKey, keyFree                                         uintptr
	contextNew, contextFree, init, setPadding, setHash, sign uintptr
	sha256, clearErrors                                      uintptr
}

// load finds the library, once for the process. It is never unloaded.
var load = sync.OnceValues(func() (*functions, error) {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	f := &functions{}
	for name, at := range map[string]*uintptr{
		"OPENSSL_version_major":         &f.major,
		"OPENSSL_version_minor":         &f.minor,
		"OPENSSL_version_patch":         &f.patch,
		"d2i_AutoPrivateKey":            &f.readKey,
		"EVP_PKEY_free":                 &f.keyFree,
		"EVP_PKEY_CTX_new":              &f.contextNew,
		"EVP_PKEY_CTX_free":             &f.contextFree,
		"EVP_PKEY_sign_init":            &f.init,
		"EVP_PKEY_CTX_set_rsa_padding":  &f.setPadding,
		"EVP_PKEY_CTX_set_signature_md": &f.setHash,
		"EVP_PKEY_sign":                 &f.sign,
		"EVP_sha256":                    &f.sha256,
		"ERR_clear_error":               &f.clearErrors,
	} {
		if *at, err = purego.Dlsym(handle, name); err != nil {
			return nil, fmt.Errorf("%s: %w", library, err)
		}
	}
	return f, nil
})

// call calls a function. What args point to stays where it is until it returns.
//
//go:uintptrescapes
func call(function uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(function, args...)
	return r
}

// one reports whether a C int is 1, which is OpenSSL's word for success. The upper half of the register is not defined.
func one(r uintptr) bool { return int32(r) == 1 }

// signer is a key in OpenSSL's hands.
type signer struct {
	*functions
	key uintptr // EVP_PKEY; OpenSSL locks what threads share
	own *rsa.PrivateKey
}

// open gives OpenSSL a copy of the key.
func open(key *rsa.PrivateKey) (crypto.Signer, string, error) {
	f, err := load()
	if err != nil {
		return nil, "", err
	}
	der := x509.MarshalPKCS1PrivateKey(key)
	defer clear(der)
	// d2i moves it behind what it has read, where a Go pointer must not point.
	at := uintptr(unsafe.Pointer(&der[0]))
	handle := call(f.readKey, 0, uintptr(unsafe.Pointer(&at)), uintptr(len(der)))
	runtime.KeepAlive(der)
	if handle == 0 {
		call(f.clearErrors)
		return nil, "", errors.New("OpenSSL can't read the key")
	}
	s := &signer{f, handle, key}
	runtime.AddCleanup(s, func(handle uintptr) { call(f.keyFree, handle) }, handle)
	name := fmt.Sprintf("OpenSSL %d.%d.%d", uint32(call(f.major)), uint32(call(f.minor)), uint32(call(f.patch)))
	return s, name, nil
}

// Public returns the *rsa.PublicKey.
func (s *signer) Public() crypto.PublicKey { return s.own.Public() }

// Decrypt is left to Go: sensitive fields are rare.
func (s *signer) Decrypt(rand io.Reader, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return s.own.Decrypt(rand, sealed, opts)
}

// Sign signs a digest. What isn't PKCS #1 v1.5 over SHA-256, and what OpenSSL fails at, Go signs.
func (s *signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	_, pss := opts.(*rsa.PSSOptions)
	if !pss && opts != nil && opts.HashFunc() == crypto.SHA256 && len(digest) == crypto.SHA256.Size() {
		if signature := s.fast(digest); signature != nil {
			return signature, nil
		}
	}
	return s.own.Sign(rand, digest, opts)
}

// fast signs the digest by OpenSSL. It returns nil where that fails.
func (s *signer) fast(digest []byte) []byte {
	defer runtime.KeepAlive(s) // the key is freed with s
	context := call(s.contextNew, s.key, 0)
	if context == 0 {
		return nil
	}
	defer call(s.contextFree, context)
	signature := make([]byte, s.own.Size())
	size := uintptr(len(signature))
	if !one(call(s.init, context)) || !one(call(s.setPadding, context, pkcs1Padding)) ||
		!one(call(s.setHash, context, call(s.sha256))) ||
		!one(call(s.sign, context, uintptr(unsafe.Pointer(&signature[0])), uintptr(unsafe.Pointer(&size)),
			uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)))) ||
		size != uintptr(len(signature)) {
		// The queue of errors is the thread's. Where this goroutine has changed threads meanwhile, an entry stays behind,
		// which nobody reads.
		call(s.clearErrors)
		return nil
	}
	return signature
}
