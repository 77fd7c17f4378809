using System.ComponentModel.DataAnnotations;
using Microsoft.EntityFrameworkCore;

namespace BackendSystems.Pim;

/// <summary>The tables as OData needs them: something to build queries on. Changes are written by <see cref="PimStore"/>.</summary>
public sealed class PimContext(DbContextOptions<PimContext> options) : DbContext(options)
{
    public DbSet<Product> Products => Set<Product>();

    public DbSet<Category> Categories => Set<Category>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(PimSetup.Name);
        modelBuilder.Entity<Product>(product =>
        {
            product.ToTable("products").HasKey(row => row.Sku);
            product.HasOne(row => row.Category).WithMany().HasForeignKey(row => row.CategoryCode);
            product.Property<string>("Search");
        });
        modelBuilder.Entity<Category>().ToTable("categories").HasKey(row => row.Code);
        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
        {
            property.SetColumnName(SnakeCase(property.Name));
        }
    }

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((letter, at) => at > 0 && char.IsUpper(letter) ? $"_{letter}" : letter.ToString())).ToLowerInvariant();
}

// The entity types of the service. They are public because OData builds its types on them.

public sealed class Product
{
    [Key]
    public required string Sku { get; init; }

    public required string Name { get; init; }

    public required string NameDe { get; init; }

    public required string Description { get; init; }

    public required string Brand { get; init; }

    public required string CategoryCode { get; init; }

    public decimal ListPrice { get; init; }

    public decimal? SalePrice { get; init; }

    public required string Currency { get; init; }

    public required string Ean { get; init; }

    public required string Colour { get; init; }

    public string? Size { get; init; }

    public int WeightGrams { get; init; }

    public required string ImageUrl { get; init; }

    public bool Active { get; init; }

    public DateOnly LaunchedOn { get; init; }

    public int Revision { get; init; }

    public DateTimeOffset LastModified { get; init; }

    public Category? Category { get; init; }
}

public sealed class Category
{
    [Key]
    public required string Code { get; init; }

    public required string Name { get; init; }

    public required string NameDe { get; init; }

    public required string Department { get; init; }

    public int SortOrder { get; init; }
}
