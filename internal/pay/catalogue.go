package pay

import (
	"context"

	"github.com/fenhao-pay/fenhao/money"
)

// Product returns a product, or CodeProductNotFound.
func (c *Cashier) Product(ctx context.Context, id ProductID) (Product, error) {
	return c.store.Product(ctx, id)
}

// Products lists the catalogue, newest first.
func (c *Cashier) Products(ctx context.Context, f ProductFilter) ([]Product, string, error) {
	return c.store.Products(ctx, f)
}

// AddProduct puts a product into the catalogue.
func (c *Cashier) AddProduct(ctx context.Context, p Product) (Product, error) {
	p.CreatedAt = c.now()
	p.ID = ProductID(c.ids.id("prd_", p.CreatedAt))
	if err := p.Check(); err != nil {
		return Product{}, err
	}
	return p, c.store.SaveProduct(ctx, p)
}

// ProductChange says what to change of a product; nil leaves a field as it is.
type ProductChange struct {
	Name        *string
	Description *string
	Price       *money.Fen
	ImageURL    *string
	Active      *bool
}

// ChangeProduct changes a product. Orders that were placed before keep its old name and price.
func (c *Cashier) ChangeProduct(ctx context.Context, id ProductID, ch ProductChange) (Product, error) {
	p, err := c.store.Product(ctx, id)
	if err != nil {
		return Product{}, err
	}
	set(&p.Name, ch.Name)
	set(&p.Description, ch.Description)
	set(&p.Price, ch.Price)
	set(&p.ImageURL, ch.ImageURL)
	set(&p.Active, ch.Active)
	if err := p.Check(); err != nil {
		return Product{}, err
	}
	return p, c.store.SaveProduct(ctx, p)
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// Event returns an event, or CodeEventNotFound.
func (c *Cashier) Event(ctx context.Context, id EventID) (Event, error) {
	return c.store.Event(ctx, id)
}

// Events lists events, newest first.
func (c *Cashier) Events(ctx context.Context, f EventFilter) ([]Event, string, error) {
	return c.store.Events(ctx, f)
}
