package crash

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/store"
)

// merchant is what the sandbox tells of one.
type merchant struct {
	ID                string `json:"id"`
	CertificateSerial string `json:"certificate_serial"`
	PrivateKey        string `json:"private_key"`
	APIv3Key          string `json:"apiv3_key"`
	Apps              []struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	} `json:"apps"`
}

// apart is `fenhao sandbox` and `fenhao serve`: each dies alone, or both do. The service's time is real.
func apart(w *world) {
	service, wechat := w.port(), w.port()
	serviceURL, wechatURL := "http://"+service, "http://"+wechat
	w.site.serviceURL.Store(&serviceURL)
	w.site.wechatURL.Store(&wechatURL)
	w.database = filepath.Join(w.dir, "fenhao.db")
	settings := filepath.Join(w.dir, "fenhao.yaml")
	same := func(r ready) {
		if r.AppID != w.site.appID || r.MerchantID != w.site.merchantID {
			w.witness.complain("after a restart app or merchant are others: %+v", r)
		}
	}
	sandbox := &part{
		log: filepath.Join(w.dir, "sandbox.log"),
		args: func() []string {
			return []string{"sandbox", "--json", "--data", filepath.Join(w.dir, "wechat"), "--listen", wechat, "--service", serviceURL}
		},
		served: func(r ready) { w.site.appID, w.site.merchantID = r.AppID, r.MerchantID },
	}
	if w.random.IntN(2) == 0 {
		w.stillborn(sandbox, 1500)
	}
	w.begin(sandbox)
	sandbox.served = same
	merchants, err := listed[merchant](w.Context(), wechatURL+"/sandbox/v1/merchants")
	if err != nil || len(merchants) != 1 || len(merchants[0].Apps) == 0 {
		w.Fatalf("%d merchants, %v", len(merchants), err)
	}
	w.configure(settings, service, merchants[0])
	w.seedCatalogue()
	serve := &part{
		log:    filepath.Join(w.dir, "serve.log"),
		args:   func() []string { return []string{"serve", "--json", "--config", settings} },
		served: same,
	}
	w.begin(serve)
	w.parts = []*part{sandbox, serve}
}

// configure writes fenhao.yaml as an operator would, with each secret in a file of its own.
func (w *world) configure(path, listen string, m merchant) {
	w.Helper()
	keep := func(name, secret string) string {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(secret), 0o600); err != nil {
			w.Fatal(err)
		}
		w.secrets = append(w.secrets, strings.Split(secret, "\n")[0])
		return name
	}
	text := fmt.Sprintf(`listen: %s
public_url: http://%s
database: sqlite:%s
secret_key_file: %s
wechat:
  pay_url: %s
  api_url: %s
merchants:
  - id: "%s"
    certificate_serial: %s
    private_key_file: %s
    apiv3_key_file: %s
    apps:
      - id: %s
        secret_file: %s
`, listen, listen, w.database, keep("secret_key", cryptorand.Text()+cryptorand.Text()), w.site.wechat(), w.site.wechat(),
		m.ID, m.CertificateSerial, keep("apiclient_key.pem", m.PrivateKey), keep("apiv3_key", m.APIv3Key), m.Apps[0].ID, keep("app_secret", m.Apps[0].Secret))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// seedCatalogue makes the database with products and an API key before the service first starts.
func (w *world) seedCatalogue() {
	w.Helper()
	ctx, log := w.Context(), slog.New(slog.DiscardHandler)
	s, err := store.Open(ctx, "sqlite:"+w.database, log)
	if err != nil {
		w.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			w.Error(err)
		}
	}()
	if w.site.apiKey, err = fill(ctx, s, log); err != nil {
		w.Fatal(err)
	}
	w.secrets = append(w.secrets, w.site.apiKey)
}

func fill(ctx context.Context, s *store.Store, log *slog.Logger) (apiKey string, err error) {
	// Nothing is asked of WeChat here, and no session is made.
	c, err := pay.NewCashier(pay.Config{Store: s, Gateway: struct{ pay.Gateway }{}, Log: log, Secret: make([]byte, 32)})
	if err != nil {
		return "", err
	}
	for _, p := range []pay.Product{{Name: "茶 Tea", Price: 1, Active: true}, {Name: "面 Noodles", Price: 1999, Active: true}, {Name: "酒 Wine", Price: 88800, Active: true}} {
		if _, err := c.AddProduct(ctx, p); err != nil {
			return "", err
		}
	}
	_, apiKey, err = c.CreateAPIKey(ctx, "crash test")
	return apiKey, err
}
